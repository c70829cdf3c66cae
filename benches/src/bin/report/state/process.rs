//! The state of processes, against `SET`.

use std::sync::Arc;

use anyhow::{Result, bail};
use state_core::{
    Namespace,
    process::{Change, Created, Expect, NewProcess, Payload, ProcessOptions, Processes, Saved},
};
use state_redis::process::RedisProcesses;

use super::{Bare, CALLS, some_bytes};
use crate::{
    interleave::now,
    outcome::Outcome,
    redis::pairs::{alternate, timed},
};

pub(super) async fn measure(bare: &Bare, outcome: &mut Outcome) -> Result<()> {
    let (options, namespace) = (ProcessOptions::default(), Namespace::new("bench")?);
    let store = RedisProcesses::new(bare.client.clone(), &namespace, 1, options)?;
    let processes = Processes::new(Arc::new(store));
    let (plain, data) = (bare.key("process"), some_bytes());
    let new = NewProcess::new("upgrade-7", "upgrade").payload(Payload::new("json/1", data.clone()));
    let Created::Created { mut version } = processes.create(new).await? else {
        bail!("the process is new");
    };
    let measure = alternate(
        CALLS,
        async || {
            let payload = Payload::new("json/1", data.clone());
            let change = Change::new().payload(payload).step("copy").percent(10);
            let start = now();
            let saved = processes
                .save("upgrade-7", change, Expect::Exact(version), None)
                .await?;
            let took = start.elapsed();
            let Saved::Saved { version: next } = saved else {
                bail!("nobody else writes: {saved:?}");
            };
            version = next;
            Ok(took)
        },
        async || timed(bare.run("SET", &[plain.as_bytes(), &data])).await,
    )
    .await?;
    outcome.ratio("state.process.save_over_set", &measure, 2.5);
    Ok(())
}
