//! `logins list`, `add`, `reset`, `remove` and `end-tokens`

use super::cli::{LoginsAddArgs, LoginsCommand, LoginsListArgs, RoleArg};
use super::{Failure, Gateway, Out, text};
use crate::logins::Role;
use crate::web::LoginView;
use hyper::Method;
use jiff::tz::TimeZone;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

/// Longest line that is read as a password, in bytes.
const LINE_BYTES: u64 = 1_024;

pub(super) async fn run(
    command: &LoginsCommand,
    gateway: &Gateway,
    out: Out<'_>,
) -> Result<(), Failure> {
    match command {
        LoginsCommand::List(args) => list(args, gateway, out).await,
        LoginsCommand::Add(args) => add(args, gateway, out).await,
        LoginsCommand::Reset(args) => {
            let body = json!({ "password": password().await? });
            let uri = uri(&args.name);
            gateway
                .control
                .change(Method::PUT, &uri, Some(&body))
                .await?;
            let name = text::one_line(&args.name);
            writeln!(
                out,
                "{name} has another password; its sessions and tokens are ended"
            )?;
            Ok(())
        }
        LoginsCommand::Remove(args) => {
            let uri = uri(&args.name);
            gateway.control.change(Method::DELETE, &uri, None).await?;
            writeln!(out, "{} is removed", text::one_line(&args.name))?;
            Ok(())
        }
        LoginsCommand::EndTokens => {
            let control = &gateway.control;
            control.change(Method::DELETE, "/api/tokens", None).await?;
            writeln!(out, "all tokens are ended; programs need new ones")?;
            Ok(())
        }
    }
}

async fn list(args: &LoginsListArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    let logins: Vec<LoginView> = gateway.control.get("/api/logins").await?;
    for login in &logins {
        if args.json {
            writeln!(out, "{}", serde_json::to_value(login).unwrap_or_default())?;
        } else {
            writeln!(out, "{}", line(login, &gateway.zone))?;
        }
    }
    if logins.is_empty() && !args.json {
        writeln!(out, "nobody is set up yet")?;
    }
    Ok(())
}

fn line(login: &LoginView, zone: &TimeZone) -> String {
    let mut line = format!(
        "{:<24} {:<15}",
        text::one_line(&login.name),
        login.role.word()
    );
    // A string takes everything.
    let _ = match &login.last {
        Some(last) => write!(line, " last in {}", text::local(last, zone)),
        None => write!(line, " never in, made {}", text::local(&login.made, zone)),
    };
    line
}

async fn add(args: &LoginsAddArgs, gateway: &Gateway, out: Out<'_>) -> Result<(), Failure> {
    let role = match args.role {
        RoleArg::Technician => Role::Technician,
        RoleArg::Manager => Role::Manager,
        RoleArg::LossPrevention => Role::LossPrevention,
    };
    let body = json!({ "name": args.name, "role": role, "password": password().await? });
    let control = &gateway.control;
    control
        .change(Method::POST, "/api/logins", Some(&body))
        .await?;
    writeln!(out, "{} may log in as {role}", text::one_line(&args.name))?;
    Ok(())
}

/// The path of a login; whatever is no plain character is escaped.
fn uri(name: &str) -> String {
    let mut uri = String::from("/api/logins/");
    for byte in name.trim().bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // A string takes everything.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

async fn password() -> Result<String, Failure> {
    let asked = tokio::task::spawn_blocking(|| {
        if io::stdin().is_terminal() {
            ask_twice()
        } else {
            line_of_input()
        }
    });
    asked
        .await
        .map_err(|why| Failure::Failed(why.to_string()))?
}

fn line_of_input() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin().lock().take(LINE_BYTES).read_line(&mut line)?;
    let line = line.trim_end_matches(['\n', '\r']);
    if line.is_empty() {
        let text = "no password came on standard input".to_owned();
        return Err(Failure::Usage(text));
    }
    Ok(line.to_owned())
}

/// On the terminal, where it is not shown.
fn ask_twice() -> Result<String, Failure> {
    let shown = tcgetattr(io::stdin()).map_err(io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden).map_err(io::Error::from)?;
    let asked = ["Password: ", "Once more: "].map(|prompt| {
        let mut terminal = io::stderr();
        write!(terminal, "{prompt}")?;
        let line = line_of_input();
        writeln!(terminal)?;
        line
    });
    tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &shown).map_err(io::Error::from)?;
    let [first, second] = asked;
    let first = first?;
    if first != second? {
        return Err(Failure::Failed("the two are not the same".into()));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(uri("ann.b-2"), "/api/logins/ann.b-2");
        assert_eq!(uri(" Jürgen K/.. "), "/api/logins/J%C3%BCrgen%20K%2F..");
    }

    #[test]
    fn a_login_is_one_line() {
        let mut login = LoginView {
            name: "ann".into(),
            role: Role::LossPrevention,
            made: "2026-11-21T08:15:30.250000Z".into(),
            last: None,
        };
        assert_eq!(
            line(&login, &TimeZone::UTC),
            "ann                      loss-prevention never in, made 2026-11-21 08:15:30"
        );
        login.last = Some("2026-11-21T09:15:30.250000Z".into());
        assert!(line(&login, &TimeZone::UTC).ends_with(" last in 2026-11-21 09:15:30"));
    }
}
