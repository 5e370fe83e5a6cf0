//! Logins over a data directory.

use super::*;
use std::net::IpAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tillwatch_protocol::Clock;

const LIMITS: Limits = Limits {
    whole_s: 12 * 3_600,
    idle_s: 1_800,
};
const ANN: (&str, &str) = ("Ann", "korrekt horse");

fn at(second: u64) -> Stamp {
    Stamp {
        boot: 1,
        monotonic_ns: second * SECOND_NS,
        utc_us: 1_759_588_455_000_000 + i64::try_from(second).unwrap() * 1_000_000,
        clock: Clock::Synced,
    }
}

fn source(n: u8) -> Source {
    Source::Address(IpAddr::from([192, 0, 2, n]))
}

struct Shop {
    data: TempDir,
    logins: Logins,
}

impl Shop {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let logins = Logins::open(Some(data.path()), CancellationToken::new());
        Self { data, logins }
    }

    async fn set_up() -> (Self, Opened) {
        let shop = Self::new();
        let opened = shop.logins.set_up(ANN, None, Source::Local, at(0), LIMITS);
        let opened = opened.await.unwrap();
        (shop, opened)
    }

    /// The program starts again.
    fn again(&self) -> Logins {
        Logins::open(Some(self.data.path()), CancellationToken::new())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data.path().join("access").join(name)
    }
}

#[tokio::test]
async fn the_first_login_is_a_manager_and_is_in() {
    let (shop, opened) = Shop::set_up().await;
    let person = shop.logins.whose(&opened.cookie, at(5), LIMITS).unwrap();
    assert_eq!((&*person.name, person.role), ("Ann", Role::Manager));
    assert_eq!(person.expires_us, at(LIMITS.whole_s).utc_us);
    assert!(shop.logins.whose("another", at(5), LIMITS).is_none());
    let second = shop
        .logins
        .set_up(("eve", "korrekt horse"), None, source(1), at(6), LIMITS);
    assert!(matches!(second.await, Err(LoginError::SetUp)));
    for name in ["logins.json", "sessions.json"] {
        let text = std::fs::read_to_string(shop.file(name)).unwrap();
        assert!(!text.contains("korrekt") && !text.contains(&opened.cookie));
    }
}

#[tokio::test]
async fn whoever_sets_up_from_afar_shows_the_code_of_this_start() {
    let shop = Shop::new();
    let code = shop.logins.code().unwrap().to_owned();
    assert_ne!(Some(code.as_str()), shop.again().code());
    let set_up = |code: &'static str, n| {
        let logins = shop.logins.clone();
        async move {
            logins
                .set_up(ANN, Some(code), source(n), at(0), LIMITS)
                .await
        }
    };
    for wrong in ["", "-", "AAAA-AAAA"] {
        assert!(matches!(set_up(wrong, 1).await, Err(LoginError::Code)));
    }
    let typed = code.to_lowercase().replace('-', " ");
    let opened = shop
        .logins
        .set_up(ANN, Some(&typed), source(1), at(0), LIMITS);
    assert_eq!(opened.await.unwrap().person.role, Role::Manager);
}

#[tokio::test]
async fn codes_cannot_be_tried_for_long() {
    let shop = Shop::new();
    let mut waits = 0;
    for _ in 0..8 {
        let tried = shop.logins.set_up(ANN, Some("x"), source(1), at(0), LIMITS);
        waits += usize::from(matches!(tried.await, Err(LoginError::Wait(1..))));
    }
    assert_eq!(waits, 3);
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_are_the_same_mistake() {
    let (shop, _) = Shop::set_up().await;
    for wrong in [
        ("Ann", "korrekt Horse"),
        ("nobody", "korrekt horse"),
        ("", ""),
    ] {
        let tried = shop.logins.log_in(wrong, source(1), at(1), LIMITS).await;
        assert!(matches!(tried, Err(LoginError::Wrong)), "{wrong:?}");
    }
    let long = "x".repeat(1 << 20);
    let tried = shop.logins.log_in(("Ann", &long), source(1), at(1), LIMITS);
    assert!(matches!(tried.await, Err(LoginError::Wrong)));
    let opened = shop
        .logins
        .log_in((" ann", ANN.1), source(1), at(1), LIMITS);
    assert_eq!(&*opened.await.unwrap().person.name, "Ann");
}

#[tokio::test]
async fn a_start_logs_nobody_out_and_a_new_password_does() {
    let (shop, opened) = Shop::set_up().await;
    let again = shop.again();
    let person = again.whose(&opened.cookie, at(60), LIMITS).unwrap();
    assert!(!person.ends.is_cancelled());
    again.set("ann", Some("another horse"), None).await.unwrap();
    assert!(person.ends.is_cancelled(), "what is streamed to it ends");
    assert!(again.whose(&opened.cookie, at(61), LIMITS).is_none());
    assert!(shop.again().whose(&opened.cookie, at(62), LIMITS).is_none());
    let old = shop.again().log_in(ANN, source(1), at(63), LIMITS).await;
    assert!(matches!(old, Err(LoginError::Wrong)));
}

#[tokio::test]
async fn logging_out_ends_this_browser_and_no_other() {
    let (shop, first) = Shop::set_up().await;
    let second = shop
        .logins
        .log_in(ANN, source(1), at(1), LIMITS)
        .await
        .unwrap();
    assert_ne!(first.cookie, second.cookie);
    shop.logins.log_out(&first.cookie).await;
    assert!(shop.logins.whose(&first.cookie, at(2), LIMITS).is_none());
    let again = shop.again();
    assert!(again.whose(&first.cookie, at(2), LIMITS).is_none());
    assert!(again.whose(&second.cookie, at(2), LIMITS).is_some());
}

#[tokio::test]
async fn tokens_end_with_their_time_their_password_their_login_and_their_key() {
    let (shop, _) = Shop::set_up().await;
    let logins = &shop.logins;
    logins
        .add(("eve", "korrekt horse"), Role::Technician, at(1))
        .await
        .unwrap();
    let give = |name: &'static str, password: &'static str| {
        let logins = logins.clone();
        async move { logins.token((name, password), 1, source(9), at(2)).await }
    };
    assert!(matches!(
        give("eve", "wrong horse").await,
        Err(LoginError::Wrong)
    ));
    let token = give("eve", "korrekt horse").await.unwrap();
    let bears = |logins: &Logins, second| logins.bears(&token.token, at(second));
    let eve = bears(logins, 3_601).unwrap();
    assert_eq!((&*eve.name, eve.role), ("eve", Role::Technician));
    assert_eq!(token.expires_us, at(3_602).utc_us);
    assert!(bears(logins, 3_602).is_none());
    assert!(bears(&shop.again(), 3).is_some(), "a start keeps the key");

    logins
        .set("eve", Some("another horse"), None)
        .await
        .unwrap();
    assert!(bears(logins, 3).is_none());
    let token = give("eve", "another horse").await.unwrap().token;
    logins
        .set("eve", None, Some(Role::LossPrevention))
        .await
        .unwrap();
    let role = logins.bears(&token, at(3)).unwrap().role;
    assert_eq!(role, Role::LossPrevention, "a role counts at once");
    logins.remove("eve").await.unwrap();
    assert!(logins.bears(&token, at(3)).is_none());

    let token = give(ANN.0, ANN.1).await.unwrap().token;
    assert!(logins.bears(&token, at(3)).is_some());
    logins.end_tokens().await.unwrap();
    assert!(logins.bears(&token, at(3)).is_none());
    assert!(shop.again().bears(&token, at(3)).is_none());
}

#[tokio::test]
async fn logins_that_cannot_be_read_open_nothing() {
    let (shop, opened) = Shop::set_up().await;
    std::fs::write(shop.file("logins.json"), "{\"logins\":[").unwrap();
    let again = shop.again();
    assert!(!again.is_empty());
    assert!(again.damaged().unwrap().contains("logins.json"));
    assert!(again.whose(&opened.cookie, at(1), LIMITS).is_none());
    let tried = again.log_in(ANN, source(1), at(1), LIMITS).await;
    assert!(matches!(tried, Err(LoginError::Damaged(_))));
    let code = again.code().unwrap().to_owned();
    let tried = again
        .set_up(ANN, Some(&code), source(1), at(1), LIMITS)
        .await;
    assert!(matches!(tried, Err(LoginError::SetUp)));
    let added = again.add(("eve", ANN.1), Role::Manager, at(1)).await;
    assert!(matches!(added, Err(LoginError::Damaged(_))));
    let left = std::fs::read_to_string(shop.file("logins.json")).unwrap();
    assert_eq!(left, "{\"logins\":[", "it is left for whoever repairs it");
}

#[tokio::test]
async fn a_change_that_is_not_on_disk_is_none() {
    let shop = Shop::new();
    std::fs::write(shop.data.path().join("access"), "in the way").unwrap();
    let made = shop
        .logins
        .set_up(ANN, None, Source::Local, at(0), LIMITS)
        .await;
    assert!(matches!(made, Err(LoginError::Disk(_))), "{made:?}");
    assert!(shop.logins.is_empty());
}
