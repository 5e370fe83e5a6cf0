use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Layers, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tillwatch.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    Layers::load(&Given {
        file: Some(path),
        environment,
        ..Given::default()
    })
}

fn complaint(file: &str, environment: &[(&str, &str)]) -> String {
    load(file, environment).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_valid() {
    let layers = load("", &[]).unwrap();
    assert_eq!(layers.config(), &Config::default());
}

#[test]
fn environment_wins_over_the_file_and_flags_over_both() {
    let file =
        "store_code = \"S01\"\nregister_id = \"reg_01\"\n[detection]\ndiscount_threshold = 20\n";
    let layers = load(file, &[("STORE_CODE", "S03"), ("DISCOUNT_THRESHOLD", "25")]).unwrap();
    assert_eq!(layers.config().store_code.as_ref().unwrap().as_str(), "S03");
    assert_eq!(
        layers.config().register_id.as_ref().unwrap().as_str(),
        "reg_01"
    );
    let settings = layers.config().detection_settings().unwrap();
    assert_eq!(settings.discount_threshold.0, 25_000);

    let flags = vec![(
        "web.listen".to_owned(),
        Value::String("127.0.0.1:0".into()),
        "--listen",
    )];
    let environment = vec![(
        "TILLWATCH_WEB__LISTEN".to_owned(),
        "127.0.0.1:9999".to_owned(),
    )];
    let layers = Layers::load(&Given {
        environment,
        flags,
        ..Given::default()
    })
    .unwrap();
    assert_eq!(layers.config().web.listen.port(), 0);
    let row = layers
        .rows()
        .into_iter()
        .find(|row| row.key == "web.listen")
        .unwrap();
    assert_eq!(row.origin.to_string(), "flag --listen");
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    assert!(complaint("time_zone = \"UTC\"", &[]).contains("did you mean `timezone`?"));
    assert!(complaint("[pos.mqtt]\nhots = \"x\"", &[]).contains("did you mean `pos.mqtt.host`?"));
    assert!(
        complaint("", &[("TILLWATCH_POS__ENABELD", "1")]).contains("did you mean `pos.enabled`?")
    );
    assert!(complaint("", &[("TILLWATCH_ZZZZ", "1")]).contains("unknown key `zzzz`"));
}

#[test]
fn the_broker_names_set_both_brokers_unless_one_has_its_own_host() {
    let environment = [
        ("MQTT_HOST", "a.example"),
        ("MQTT_PORT", "1884"),
        ("MQTT_PASS", "old"),
        ("MQTT_PASSWORD", "geheim"),
    ];
    let both = load("", &environment).unwrap();
    assert_eq!(both.config().pos.mqtt.host.as_deref(), Some("a.example"));
    assert_eq!(both.config().uplink.mqtt.effective_port(), 1884);
    assert_eq!(
        both.config()
            .uplink
            .mqtt
            .password
            .as_ref()
            .unwrap()
            .reveal(),
        "geheim"
    );

    let one = load("[uplink.mqtt]\nhost = \"hq.example\"\n", &environment).unwrap();
    assert_eq!(one.config().uplink.mqtt.host.as_deref(), Some("hq.example"));
    assert_eq!(
        one.config().uplink.mqtt.password,
        None,
        "another broker's password stays away"
    );
    assert_eq!(one.config().pos.mqtt.host.as_deref(), Some("a.example"));
}

#[test]
fn secrets_are_never_shown() {
    let layers = load("", &[("MQTT_HOST", "h"), ("MQTT_PASSWORD", "geheim")]).unwrap();
    let shown: String = layers
        .rows()
        .iter()
        .map(|row| format!("{} {}\n", row.key, row.value))
        .collect();
    assert!(!shown.contains("geheim"));
    assert!(!format!("{:?}", layers.config()).contains("geheim"));
}

#[test]
fn wrong_types_and_impossible_values_name_the_key() {
    assert!(complaint("[drawer]\ndebounce_ms = \"10\"", &[]).contains("`drawer.debounce_ms`"));
    assert!(complaint("", &[("MQTT_HOST", "h"), ("MQTT_PORT", "abc")]).contains("a whole number"));
    assert!(complaint("timezone = \"Mars/Olympus\"", &[]).contains("timezone"));
    assert!(complaint("opening_hours = \"6-23\"", &[]).contains("opening_hours"));
    assert!(complaint("[uplink]\nwindow = 0", &[]).contains("uplink.window"));
    assert!(complaint("[web.tls]\ncert_file = \"a.pem\"", &[]).contains("web.tls.cert_file"));
    assert!(complaint("receipt_policy = \"sometimes\"", &[]).contains("receipt_policy"));
    assert!(
        complaint("[detection]\nbase = { void_transaction = 3 }", &[])
            .contains("detection.base.void_transaction")
    );
}

#[test]
fn base_scores_and_policies_can_be_changed_and_added() {
    let file = "[detection.base]\nvoid_transaction = 0.45\ntill_opened = 1\n[detection.policy]\nprice_override = \"always\"\n";
    let settings = load(file, &[])
        .unwrap()
        .config()
        .detection_settings()
        .unwrap();
    assert_eq!(settings.event_types["void_transaction"].base.milli(), 450);
    assert_eq!(settings.event_types["till_opened"].base.milli(), 1000);
    assert_eq!(
        settings.event_types["price_override"].policy,
        tillwatch_protocol::settings::AlertPolicy::Always
    );
}

#[test]
fn the_commented_example_is_true() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../systemd/tillwatch.example.toml"
    );
    if std::env::var_os("TILLWATCH_WRITE_EXAMPLE").is_some() {
        std::fs::write(path, keys::example()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        keys::example(),
        "write it anew with TILLWATCH_WRITE_EXAMPLE=1"
    );
    // Every default, uncommented, is accepted and changes nothing.
    let defaults = toml::to_string(&Config::default()).unwrap();
    assert_eq!(load(&defaults, &[]).unwrap().config(), &Config::default());
}

#[test]
fn every_key_is_documented() {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    for (path, _) in keys::flatten(&defaults) {
        assert!(
            keys::find(&path).is_some(),
            "{path} is not in the table of keys"
        );
    }
    // Keys without a default are reached by their example.
    for key in keys::KEYS.iter().filter(|key| !key.example.is_empty()) {
        let mut file = String::new();
        let path = key.path.replace('*', "any_name");
        let (section, name) = path.rsplit_once('.').unwrap_or(("", &path));
        if !section.is_empty() {
            file += &format!("[{section}]\n");
        }
        file += &format!("{name} = {}\n", key.example);
        if let Err(why) = load(&file, &[]) {
            assert!(
                matches!(why, ConfigError::Invalid(_)),
                "{}: {why}",
                key.path
            );
        }
    }
}

#[test]
fn a_camera_is_a_section_with_a_name_of_the_users_choice() {
    let file = "[cameras.counter]\ndevice = \"/dev/video0\"\ncustomer_side = \"0, 0, 100, 40\"\n";
    let environment = [("TILLWATCH_CAMERAS__DOOR__REPLAY", "/tmp/door.mjpeg")];
    let layers = load(file, &environment).unwrap();
    let cameras = &layers.config().cameras;
    assert_eq!(cameras.keys().collect::<Vec<_>>(), ["counter", "door"]);
    assert_eq!(cameras["counter"].fps, 15);
    let part = cameras["counter"].customer_side().unwrap().unwrap();
    assert_eq!(
        (part.left, part.top, part.width, part.height),
        (0, 0, 100, 40)
    );
    let rows = layers.rows();
    let row = rows.iter().find(|row| row.key == "cameras.door.replay");
    assert_eq!(
        row.unwrap().origin.to_string(),
        "environment TILLWATCH_CAMERAS__DOOR__REPLAY"
    );
}

#[test]
fn a_camera_that_cannot_work_is_refused_by_its_key() {
    let cases = [
        (
            "[cameras.counter]\nfps = 15",
            "`cameras.counter.device` is missing",
        ),
        (
            "[cameras.counter]\ndevise = \"x\"",
            "unknown key `cameras.counter.devise`",
        ),
        (
            "[cameras.Counter]\ndevice = \"x\"",
            "unknown key `cameras.Counter.device`",
        ),
        (
            "[cameras.a]\ndevice = \"x\"\nreplay = \"y\"",
            "`cameras.a.device` and `replay` are both set",
        ),
        (
            "[cameras.a]\ndevice = \"x\"\nfps = 0",
            "`cameras.a.fps` is 0; it must lie between 1 and 60",
        ),
        (
            "[cameras.a]\ndevice = \"x\"\ncustomer_side = \"10,0,100,40\"",
            "`cameras.a.customer_side` is `10,0,100,40`",
        ),
    ];
    for (file, why) in cases {
        let text = complaint(file, &[]);
        assert!(text.contains(why), "{text}");
    }
}
