//! The port on Redis.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use redis_client::{Client, Operation, Script, ScriptCall, redis};
use state_core::{
    BackendError, ErrorKind, Namespace, OperationId,
    lock::{Fence, Released},
    process::{
        Beat, Claim, Claimed, Created, Deleted, EventBatch, EventCursor, Expect, InvalidOption,
        Listing, NewProcess, PageCursor, Process, ProcessError, ProcessOptions, ProcessPage,
        ProcessStore, Save, Saved, Status, Version,
    },
};

use super::{
    keys::{ShardKeys, shard},
    record,
    reply::{Reply, senseless},
};
use crate::error::{backend, too_long};

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> =
            LazyLock::new(|| Script::embedded(include_str!(concat!("../../lua/", $file))));
    };
}

script!(CREATE, "process_create.lua");
script!(SAVE, "process_save.lua");
script!(DELETE, "process_delete.lua");
script!(CLAIM, "process_claim.lua");
script!(HEARTBEAT, "process_heartbeat.lua");
script!(RELEASE, "process_release.lua");

/// Processes on a server or a cluster. A clone is a handle to the same.
///
/// Processes of one shard share a slot, so that a record and the listings it is in change
/// together. The number of shards of a namespace is fixed once it is used.
///
/// Live processes have no lifetime: the server needs persistence, and an eviction policy that
/// leaves keys without a lifetime alone.
#[derive(Clone)]
pub struct RedisProcesses(Arc<Inner>);

pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) options: ProcessOptions,
    pub(super) shards: Vec<ShardKeys>,
}

impl RedisProcesses {
    /// Most shards of a namespace.
    pub const MAX_SHARDS: u32 = 256;

    /// Processes of a namespace, under the client's key prefix.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] when a setting cannot work.
    pub fn new(
        client: Client,
        namespace: &Namespace,
        shards: u32,
        options: ProcessOptions,
    ) -> Result<Self, InvalidOption> {
        options.validate()?;
        if !(1..=Self::MAX_SHARDS).contains(&shards) {
            return Err(InvalidOption {
                option: "shards",
                rule: "1 to 256",
            });
        }
        let keys: Result<Vec<_>, _> = (0..shards)
            .map(|shard| ShardKeys::new(client.key_prefix(), namespace.as_str(), shard))
            .collect();
        let keys = keys.map_err(|_| InvalidOption {
            option: "namespace",
            rule: "short enough for a key",
        })?;
        Ok(Self(Arc::new(Inner {
            client,
            options,
            shards: keys,
        })))
    }

    fn keys(&self, id: &str) -> &ShardKeys {
        let shards = u32::try_from(self.0.shards.len()).unwrap_or(1);
        &self.0.shards[shard(id, shards) as usize]
    }

    async fn invoke(&self, call: ScriptCall<'_>) -> Result<Reply, BackendError> {
        self.0.client.invoke(&call).await.map_err(backend)
    }

    fn events_kept(&self) -> [u64; 2] {
        let options = &self.0.options;
        [options.events_kept, millis(options.events_retention)]
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for RedisProcesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisProcesses")
            .field("options", &self.0.options)
            .field("shards", &self.0.shards.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ProcessStore for RedisProcesses {
    fn options(&self) -> &ProcessOptions {
        &self.0.options
    }

    async fn create(
        &self,
        new: &NewProcess,
        operation: OperationId,
    ) -> Result<Created, BackendError> {
        const NAME: &str = "process.create";
        let keys = self.keys(&new.id);
        let call = CREATE
            .call()
            .key(keys.record(&new.id).map_err(too_long(NAME))?)
            .keys([&keys.active, &keys.kinds, &keys.log])
            .arg(operation.to_string())
            .arg(&new.id)
            .arg(&new.kind)
            .arg(new.status.letter().to_string())
            .arg(new.payload.format())
            .arg(&new.payload.bytes()[..])
            .arg(&self.events_kept());
        let reply = self.invoke(call).await?;
        let version = || Ok::<_, BackendError>(Version::new(reply.number(1, NAME)?));
        match reply.word() {
            "CREATED" => Ok(Created::Created {
                version: version()?,
            }),
            "EXISTS" => Ok(Created::Exists {
                version: version()?,
            }),
            "APPLIED" => Ok(Created::AlreadyApplied {
                version: version()?,
            }),
            _ => Err(senseless(NAME)),
        }
    }

    async fn get(&self, id: &str) -> Result<Option<Process>, BackendError> {
        const NAME: &str = "process.get";
        let key = self.keys(id).record(id).map_err(too_long(NAME))?;
        let command = record::record_command(&key);
        let operation = Operation::read(NAME);
        let answer: redis::Value = self
            .0
            .client
            .query(operation, &key, &command)
            .await
            .map_err(backend)?;
        record::process(id, answer)
            .map_err(|_| BackendError::new(ErrorKind::Decode, NAME, "the record cannot be read"))
    }

    async fn save(&self, id: &str, save: &Save<'_>) -> Result<Saved, BackendError> {
        const NAME: &str = "process.save";
        let keys = self.keys(id);
        let change = save.change;
        let sources: String = save
            .allowed_from
            .iter()
            .map(|status| status.letter())
            .collect();
        let status = change.new_status();
        let flag = |set: bool| if set { "1" } else { "0" };
        let mut call = SAVE
            .call()
            .key(keys.record(id).map_err(too_long(NAME))?)
            .keys([&keys.active, &keys.kinds, &keys.ended, &keys.log])
            .arg(save.operation.to_string())
            .arg(id)
            .arg(expected(save.expect))
            .arg(
                save.fence
                    .map(|fence| fence.to_string())
                    .unwrap_or_default(),
            )
            .arg(sources)
            .arg(
                status
                    .map(|status| status.letter().to_string())
                    .unwrap_or_default(),
            )
            .arg(flag(status.is_some_and(Status::is_ended)))
            .arg(flag(save.overrides_claim))
            .arg(millis(self.0.options.retention))
            .arg(&self.events_kept());
        if let Some(payload) = change.new_payload() {
            call = call.arg("pf").arg(payload.format());
            call = call.arg("pd").arg(&payload.bytes()[..]);
        }
        for (field, text) in [("st", change.new_step()), ("er", change.new_error())] {
            if let Some(text) = text {
                call = call.arg(field).arg(text);
            }
        }
        if let Some(percent) = change.new_percent() {
            call = call.arg("pc").arg(percent);
        }
        let reply = self.invoke(call).await?;
        let number = |index| reply.number(index, NAME);
        match reply.word() {
            "SAVED" => Ok(Saved::Saved {
                version: Version::new(number(1)?),
            }),
            "APPLIED" => Ok(Saved::AlreadyApplied {
                version: Version::new(number(1)?),
            }),
            "ABSENT" => Ok(Saved::NotFound),
            "CONFLICT" => Ok(Saved::Conflict {
                current: Version::new(number(1)?),
                status: status_of(reply.text(2)).ok_or_else(|| senseless(NAME))?,
            }),
            "FENCED" => Ok(Saved::Fenced {
                current: Fence::new(number(1)?),
            }),
            "STATUS" => Ok(Saved::BadTransition {
                from: status_of(reply.text(1)).ok_or_else(|| senseless(NAME))?,
            }),
            _ => Err(senseless(NAME)),
        }
    }

    async fn delete(&self, id: &str, expect: Expect) -> Result<Deleted, BackendError> {
        const NAME: &str = "process.delete";
        let keys = self.keys(id);
        let call = DELETE
            .call()
            .key(keys.record(id).map_err(too_long(NAME))?)
            .keys([&keys.active, &keys.kinds, &keys.ended, &keys.log])
            .arg(id)
            .arg(expected(expect))
            .arg(&self.events_kept());
        let reply = self.invoke(call).await?;
        match reply.word() {
            "DELETED" => Ok(Deleted::Deleted),
            "ABSENT" => Ok(Deleted::NotFound),
            "CONFLICT" => Ok(Deleted::Conflict {
                current: Version::new(reply.number(1, NAME)?),
            }),
            _ => Err(senseless(NAME)),
        }
    }

    async fn claim(
        &self,
        id: &str,
        worker: &str,
        lease: Duration,
        operation: OperationId,
    ) -> Result<Claimed, BackendError> {
        const NAME: &str = "process.claim";
        let keys = self.keys(id);
        let live: String = Status::LIVE.iter().map(|status| status.letter()).collect();
        let call = CLAIM
            .call()
            .key(keys.record(id).map_err(too_long(NAME))?)
            .keys([&keys.active, &keys.log])
            .arg(operation.to_string())
            .arg(id)
            .arg(worker)
            .arg(millis(lease))
            .arg(live)
            .arg(&self.events_kept());
        let reply = self.invoke(call).await?;
        match reply.word() {
            "CLAIMED" => Ok(Claimed::Claimed(Claim {
                id: id.to_owned(),
                worker: worker.to_owned(),
                fence: Fence::new(reply.number(1, NAME)?),
                version: Version::new(reply.number(2, NAME)?),
                lease,
            })),
            "BUSY" => Ok(Claimed::Busy {
                remaining: Duration::from_millis(reply.number(1, NAME)?),
            }),
            "ABSENT" => Ok(Claimed::NotFound),
            "ENDED" => Ok(Claimed::Ended {
                status: status_of(reply.text(1)).ok_or_else(|| senseless(NAME))?,
            }),
            _ => Err(senseless(NAME)),
        }
    }

    async fn heartbeat(&self, claim: &Claim) -> Result<Beat, BackendError> {
        const NAME: &str = "process.heartbeat";
        let keys = self.keys(&claim.id);
        let call = HEARTBEAT
            .call()
            .key(keys.record(&claim.id).map_err(too_long(NAME))?)
            .key(&keys.active)
            .arg(&claim.id)
            .arg(&claim.worker)
            .arg(claim.fence.get())
            .arg(millis(claim.lease));
        match self.invoke(call).await?.word() {
            "ALIVE" => Ok(Beat::Alive),
            "LOST" => Ok(Beat::Lost),
            _ => Err(senseless(NAME)),
        }
    }

    async fn release(&self, claim: &Claim) -> Result<Released, BackendError> {
        const NAME: &str = "process.release";
        let keys = self.keys(&claim.id);
        let call = RELEASE
            .call()
            .key(keys.record(&claim.id).map_err(too_long(NAME))?)
            .keys([&keys.active, &keys.log])
            .arg(&claim.id)
            .arg(&claim.worker)
            .arg(claim.fence.get())
            .arg(&self.events_kept());
        match self.invoke(call).await?.word() {
            "RELEASED" => Ok(Released::Released),
            "EXPIRED" => Ok(Released::Expired),
            "STOLEN" => Ok(Released::Stolen),
            _ => Err(senseless(NAME)),
        }
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&PageCursor>,
    ) -> Result<ProcessPage, ProcessError> {
        super::listing::page(self.inner(), listing, after).await
    }

    async fn events_end(&self) -> Result<EventCursor, BackendError> {
        super::events::end(self.inner()).await
    }

    async fn events(
        &self,
        after: &EventCursor,
        most: usize,
        wait: Duration,
    ) -> Result<EventBatch, ProcessError> {
        super::events::read(self.inner(), after, most, wait).await
    }
}

fn expected(expect: Expect) -> String {
    match expect {
        Expect::Exact(version) => version.to_string(),
        Expect::Any => String::new(),
    }
}

pub(super) fn status_of(letter: &str) -> Option<Status> {
    letter.chars().next().and_then(Status::from_letter)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
