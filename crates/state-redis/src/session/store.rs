//! The port on Redis.

use std::{fmt, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use redis_client::{Client, Operation, Script, ScriptCall, redis};
use state_core::{
    Answering, BackendError, Namespace, Timestamp,
    session::{
        Change, InvalidOption, Listed, Moved, NewRecord, Record, SessionHash, SessionOptions,
        SessionStore, Stored, Target, Times, Written,
    },
};

use super::{
    keys::SessionPlace,
    reply::{Reply, senseless},
};
use crate::error::{backend, too_long};

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> =
            LazyLock::new(|| Script::embedded(include_str!(concat!("../../lua/", $file))));
    };
}

script!(CREATE, "session_create.lua");
script!(LOAD, "session_load.lua");
script!(SAVE, "session_save.lua");
script!(RELOCATE, "session_relocate.lua");
script!(DELETE, "session_delete.lua");
script!(LIST, "session_list.lua");

/// How many sessions one step of a listing looks at, so that none keeps the server long.
const LISTED_AT_ONCE: usize = 500;
script!(REVOKE_ALL, "session_revoke_all.lua");

/// Sessions on a server or a cluster. A clone is a handle to the same.
///
/// All sessions of a namespace share a slot. A server that evicts keys ends sessions early.
#[derive(Clone)]
pub struct RedisSessions {
    client: Client,
    place: SessionPlace,
    options: SessionOptions,
}

impl RedisSessions {
    /// Sessions of a namespace, under the client's key prefix.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] when a setting cannot work.
    pub fn new(
        client: Client,
        namespace: &Namespace,
        options: SessionOptions,
    ) -> Result<Self, InvalidOption> {
        options.validate()?;
        let place = SessionPlace::new(client.key_prefix(), namespace.as_str());
        let place = place.map_err(|_| InvalidOption {
            option: "namespace",
            rule: "short enough for a key",
        })?;
        Ok(Self {
            client,
            place,
            options,
        })
    }

    async fn invoke(&self, call: ScriptCall<'_>) -> Result<Reply, BackendError> {
        self.client.invoke(&call).await.map_err(backend)
    }

    fn idle(&self) -> u64 {
        millis(self.options.lifetime.idle)
    }

    fn age(&self) -> u64 {
        millis(self.options.lifetime.max_age)
    }

    async fn find(&self, hash: &SessionHash) -> Result<Target<Record>, BackendError> {
        const NAME: &str = "session.load";
        let lifetime = self.options.lifetime;
        let throttle = lifetime.idle * u32::from(lifetime.touch_percent) / 100;
        let throttle = u64::try_from(throttle.as_micros()).unwrap_or(u64::MAX);
        let call = LOAD
            .call()
            .key(self.place.session(hash).map_err(too_long(NAME))?)
            .key(&self.place.cut)
            .arg(&[self.idle(), self.age(), throttle]);
        let reply = self.invoke(call).await?;
        match reply.word() {
            b"LIVE" => reply.record(NAME).map(Target::Live),
            _ => reply.dead(NAME),
        }
    }

    async fn index(&self, user: &str) -> Result<Vec<SessionHash>, BackendError> {
        const NAME: &str = "session.list";
        let index = self.place.index(Some(user)).map_err(too_long(NAME))?;
        let mut range = redis::cmd("ZRANGE");
        range.arg(&index).arg(0).arg(-1);
        let operation = Operation::read(NAME);
        let hashes: Vec<String> = self
            .client
            .query(operation, &index, &range)
            .await
            .map_err(backend)?;
        Ok(hashes
            .iter()
            .filter_map(|hash| SessionHash::parse(hash))
            .collect())
    }

    /// What sessions of a listing are like, of those that are good.
    async fn describe(
        &self,
        user: &str,
        handles: &[SessionHash],
    ) -> Result<Vec<Listed>, BackendError> {
        const NAME: &str = "session.list";
        let index = self.place.index(Some(user)).map_err(too_long(NAME))?;
        let sessions: Result<Vec<_>, _> = handles
            .iter()
            .map(|handle| self.place.session(handle))
            .collect();
        let mut call = LIST
            .call()
            .key(&self.place.cut)
            .key(index)
            .keys(sessions.map_err(too_long(NAME))?)
            .arg(user)
            .arg(&[self.idle(), self.age()]);
        for handle in handles {
            call = call.arg(handle.as_str());
        }
        self.invoke(call).await?.listed(NAME)
    }
}

impl fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessions")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    fn options(&self) -> &SessionOptions {
        &self.options
    }

    async fn now(&self) -> Result<Timestamp, BackendError> {
        let operation = Operation::read("session.now");
        let (seconds, micros): (u64, u64) = self
            .client
            .query(operation, &self.place.cut, &redis::cmd("TIME"))
            .await
            .map_err(backend)?;
        Ok(Timestamp::from_micros(seconds * 1_000_000 + micros))
    }

    async fn create(&self, new: &NewRecord) -> Result<Stored, BackendError> {
        const NAME: &str = "session.create";
        let place = &self.place;
        let victims: Result<Vec<_>, _> =
            new.victims.iter().map(|hash| place.session(hash)).collect();
        let victims = victims.map_err(too_long(NAME))?;
        let mut call = CREATE
            .call()
            .key(place.session(&new.hash).map_err(too_long(NAME))?)
            .key(&place.cut)
            .key(place.index(new.user.as_deref()).map_err(too_long(NAME))?)
            .keys(victims)
            .arg(new.hash.as_str())
            .arg(&new.data[..])
            .arg(&new.meta)
            .arg(new.user.as_deref().unwrap_or_default())
            .arg(
                new.stamp
                    .map(|stamp| stamp.as_micros().to_string())
                    .unwrap_or_default(),
            )
            .arg(&[self.idle(), self.age()])
            .arg(self.options.max_per_user);
        for victim in &new.victims {
            call = call.arg(victim.as_str());
        }
        let reply = self.invoke(call).await?;
        match reply.word() {
            b"STORED" => {
                let created = reply.time(1, NAME)?;
                Ok(Stored::Stored(Record {
                    version: 1,
                    user: new.user.clone(),
                    data: new.data.clone(),
                    times: Times {
                        created,
                        seen: created,
                        ends: reply.time(2, NAME)?,
                    },
                }))
            }
            b"TAKEN" => Ok(Stored::Taken),
            b"REVOKED" => Ok(Stored::Revoked),
            b"CROWDED" => Ok(Stored::Crowded),
            _ => Err(senseless(NAME)),
        }
    }

    fn load<'a>(&'a self, hash: &'a SessionHash) -> Answering<'a, Target<Record>> {
        Answering::later(self.find(hash))
    }

    async fn save(
        &self,
        hash: &SessionHash,
        data: Bytes,
        version: u64,
    ) -> Result<Target<Written>, BackendError> {
        const NAME: &str = "session.save";
        let call = SAVE
            .call()
            .key(self.place.session(hash).map_err(too_long(NAME))?)
            .key(&self.place.cut)
            .arg(version)
            .arg(&data[..])
            .arg(&[self.idle(), self.age()]);
        let reply = self.invoke(call).await?;
        match reply.word() {
            b"SAVED" => Ok(Target::Live(Written::Written {
                version: reply.number(1, NAME)?,
            })),
            b"CONFLICT" => Ok(Target::Live(Written::Conflict {
                current: reply.number(1, NAME)?,
            })),
            _ => reply.dead(NAME),
        }
    }

    async fn relocate(
        &self,
        (from, known): (&SessionHash, &Record),
        to: &SessionHash,
        change: Change<'_>,
    ) -> Result<Target<Moved>, BackendError> {
        const NAME: &str = "session.relocate";
        let place = &self.place;
        let old_user = known.user.as_deref();
        let (new_user, stamp, victims, grace) = match change {
            Change::User {
                user,
                stamp,
                victims,
            } => (Some(user), Some(stamp), victims, Duration::ZERO),
            Change::Nothing { grace } => (None, None, &[][..], grace),
        };
        let ending: Result<Vec<_>, _> = victims.iter().map(|hash| place.session(hash)).collect();
        let mut call = RELOCATE
            .call()
            .key(place.session(from).map_err(too_long(NAME))?)
            .key(place.session(to).map_err(too_long(NAME))?)
            .key(&place.cut)
            .key(place.index(old_user).map_err(too_long(NAME))?)
            .key(place.index(new_user.or(old_user)).map_err(too_long(NAME))?)
            .keys(ending.map_err(too_long(NAME))?)
            .arg(from.as_str())
            .arg(to.as_str())
            .arg(known.version)
            .arg(old_user.unwrap_or_default())
            .arg(new_user.unwrap_or_default())
            .arg(
                stamp
                    .map(|stamp| stamp.as_micros().to_string())
                    .unwrap_or_default(),
            )
            .arg(&[self.idle(), self.age(), millis(grace)])
            .arg(self.options.max_per_user);
        for victim in victims {
            call = call.arg(victim.as_str());
        }
        let reply = self.invoke(call).await?;
        match reply.word() {
            b"MOVED" => Ok(Target::Live(Moved::Moved(reply.record(NAME)?))),
            b"TAKEN" => Ok(Target::Live(Moved::Taken)),
            b"LOGIN" => Ok(Target::Live(Moved::Revoked)),
            b"CROWDED" => Ok(Target::Live(Moved::Crowded)),
            b"CONFLICT" => Ok(Target::Live(Moved::Conflict {
                current: reply.number(1, NAME)?,
            })),
            _ => reply.dead(NAME),
        }
    }

    async fn delete(&self, hash: &SessionHash) -> Result<Target<()>, BackendError> {
        const NAME: &str = "session.delete";
        let call = DELETE
            .call()
            .key(self.place.session(hash).map_err(too_long(NAME))?)
            .key(&self.place.cut)
            .arg(&[self.idle(), self.age()]);
        let reply = self.invoke(call).await?;
        match reply.word() {
            b"ENDED" => Ok(Target::Live(())),
            _ => reply.dead(NAME),
        }
    }

    async fn list(&self, user: &str) -> Result<Vec<Listed>, BackendError> {
        let handles = self.index(user).await?;
        let parts = handles.chunks(LISTED_AT_ONCE);
        let parts = try_join_all(parts.map(|part| self.describe(user, part))).await?;
        let mut listed: Vec<_> = parts.into_iter().flatten().collect();
        listed.sort_unstable_by(|a, b| (a.created, &a.handle).cmp(&(b.created, &b.handle)));
        Ok(listed)
    }

    async fn revoke_all(
        &self,
        user: &str,
        except: Option<&SessionHash>,
    ) -> Result<Target<()>, BackendError> {
        const NAME: &str = "session.revoke_all";
        let spared = except.map(|hash| self.place.session(hash));
        let spared = spared.transpose().map_err(too_long(NAME))?;
        let call = REVOKE_ALL
            .call()
            .key(&self.place.cut)
            .key(self.place.index(Some(user)).map_err(too_long(NAME))?)
            .keys(spared)
            .arg(user)
            .arg(self.age());
        let reply = self.invoke(call).await?;
        match reply.word() {
            b"OK" => Ok(Target::Live(())),
            _ => reply.dead(NAME),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
