//! Nothing that is shown holds a secret, whatever goes wrong around it.

use std::{error::Error, fmt::Write as _, io, time::Duration};

use proptest::prelude::*;
use redis::RedisError;

use crate::{
    Access, BuildError, Config, InstanceName, Operation, PoolStatus, Signal, Stage,
    health::{HealthReport, ServerFacts},
    observe::CommandEvent,
    signal::{Phase, classify},
};

/// What every secret of these tests has in it.
const MARK: &str = "hunter2";

/// Answers of servers, some of which repeat what they were sent.
const ANSWERS: &[&str] = &[
    "ERR unknown command '{}', with args beginning with: '{}'",
    "ERR {}",
    "{} {}",
    "WRONGPASS invalid username-password pair or user is disabled. {}",
    "NOAUTH {}",
    "NOPERM User {} has no permissions to run the 'get' command",
    "ERR AUTH {} called without any password configured",
    "ERR invalid password {}",
    "ERR DB index is out of range {}",
    "ERR user_script:1: {} script: 6f0a, on @user_script:1.",
    "WRONGTYPE {}",
    "MOVED 1 {}:6379",
    "ASK 1 {}:6379",
    "LOADING {}",
    "OOM {}",
    "MISCONF {}",
    "CROSSSLOT {}",
    "READONLY {}",
];

fn answer(number: usize, secret: &str) -> RedisError {
    let line = ANSWERS[number % ANSWERS.len()].replace("{}", secret);
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
        .and_then(redis::Value::extract_error)
        .err()
        .unwrap_or_else(|| io::Error::other(secret.to_owned()).into())
}

/// Everything an error shows, and what is behind it.
fn shown(mut error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    loop {
        write!(text, "{error} {error:?} {error:#?} ").unwrap();
        match error.source() {
            Some(source) => error = source,
            None => return text,
        }
    }
}

fn facts(secret: &str) -> ServerFacts {
    let info =
        format!("redis_version:7.0.15\nrole:master\nrequirepass:{secret}\nmasteruser:{secret}\n");
    ServerFacts::read(Some(&info), None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn t_cl_5_errors_reports_and_events_show_no_secret(
        before in "[ -~]{0,6}",
        after in "[ -~]{0,12}",
        number in 0..ANSWERS.len() + 2,
        connecting: bool,
        writes: bool,
    ) {
        let secret = format!("{before}{MARK}{after}");
        let operation = if writes { Operation::write("save") } else { Operation::read("load") };
        let phase = if connecting { Phase::Connect } else { Phase::Command };
        let driver = match number {
            0 => io::Error::other(secret.clone()).into(),
            1 => redis::make_extension_error(secret.clone(), Some(secret.clone())),
            _ => answer(number, &secret),
        };
        let error = classify(driver, phase, operation);
        let build = BuildError::new(InstanceName::default(), Stage::Ping, error.clone());
        let event = CommandEvent {
            instance: "",
            operation: operation.name(),
            access: Access::Read,
            failure: Some(error.signal()),
            attempts: 1,
            duration: Duration::ZERO,
        };
        let config = Config::builder()
            .address("h:1")
            .username("app")
            .password(secret.clone())
            .sentinel_master("m")
            .sentinel_password(secret.clone())
            .build()
            .unwrap();
        let pool = PoolStatus::default();
        let answers = Ok(vec![(None, Ok(facts(&secret))), (None, Err(error.clone()))]);
        let well = HealthReport::judge(&config, "standalone", None, pool, answers);
        let down = HealthReport::judge(&config, "standalone", None, pool, Err(error.clone()));
        let mut all = format!("{} {} {event:?} {}", shown(&error), shown(&build), event.outcome());
        for report in [&well, &down] {
            write!(all, "{report:?} {config:?}").unwrap();
            for warning in report.warnings() {
                write!(all, "{warning} {warning:?}").unwrap();
            }
        }
        prop_assert!(!all.contains(MARK), "{all}");
        prop_assert!(Signal::ALL.contains(&error.signal()));
    }

    #[test]
    fn t_cl_5_refused_settings_show_no_secret(
        after in "[ -~]{0,12}",
        setting in 0..crate::SETTINGS.len(),
        address in prop::sample::select(vec!["redis://:{}@h:1", "redis://{}:{}@h:1/x", "{}", "redis://{}", "unix://{}?{}"]),
    ) {
        let secret = format!("{MARK}{after}");
        let broken = InstanceName::default().variable(crate::SETTINGS[setting].name());
        let read = Config::from_lookup(InstanceName::default(), |variable| {
            Ok(match variable {
                "REDIS_ADDR" => Some(address.replace("{}", &secret)),
                "REDIS_PASSWORD" => Some(secret.clone()),
                _ if variable == broken => Some(secret.clone()),
                _ => None,
            })
        });
        if let Err(error) = read {
            let all = shown(&error);
            prop_assert!(!all.contains(MARK), "{all}");
        }
    }
}
