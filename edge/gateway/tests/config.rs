//! The configuration's text form, and errors that name the key and the mend.

use hedgerow_gateway::GatewayConfig;

fn parse(text: &str) -> GatewayConfig {
    toml::from_str(text).unwrap()
}

#[test]
fn nothing_need_be_said() {
    assert_eq!(parse(""), GatewayConfig::default());
    GatewayConfig::default().validate().unwrap();
    let text = toml::to_string(&GatewayConfig::default()).unwrap();
    assert_eq!(parse(&text), GatewayConfig::default());
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    let error = toml::from_str::<GatewayConfig>("[mqtt]\nlissten = \"0.0.0.0:1883\"")
        .unwrap_err()
        .to_string();
    assert!(error.contains("lissten"), "{error}");
}

#[test]
fn values_out_of_bounds_are_named_with_the_mend() {
    let cases = [
        (
            "[spool]\nbudget_bytes = 5",
            "`spool.budget_bytes`: 5 is out of bounds; use 2097152 to",
        ),
        (
            "[mqtt]\nlisten_tls = \"127.0.0.1:8883\"",
            "`mqtt.listen_tls`: there is no certificate for it; add the section",
        ),
        (
            "[mqtt]\nclient_is_device = true",
            "`mqtt.client_is_device`: clients need no certificate; set",
        ),
        (
            "[mqtt]\nmax_keep_alive_s = 0",
            "`mqtt.max_keep_alive_s`: 0 would turn keep-alive off; use",
        ),
        (
            "[http]\nfinal_timeout_s = 100",
            "`http.final_timeout_s`: 100 is out of bounds; use 1 to 60",
        ),
        (
            "[http.tls]\ncertificate = \"a\"\nkey = \"b\"\nrequire_client_certificate = true",
            "`http.tls.require_client_certificate`: no authority for client certificates is named; name",
        ),
        (
            "[forward]\nmax_in_flight = 0",
            "`forward.max_in_flight`: 0 is out of bounds; use 1 to 1024",
        ),
    ];
    for (text, expected) in cases {
        let error = parse(text).validate().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
