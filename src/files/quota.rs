//! Today's upload quota, and the uploads in progress.
//!
//! Bytes count from the moment they arrive, so concurrent uploads cannot exceed a quota together; a failed upload
//! returns its bytes. The day's total is read from the database once and then counted in memory. The quota covers the
//! whole hub: half of it is first come, first served, the other half is reserved for the organisations in equal parts,
//! so that no organisation finds it used up by others. A lone organisation gets all of it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::queries;
use hxa_domain::error::{Allowance, ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{BotId, OrgId};
use hxa_domain::shares::{Full, Holder, Share, Shares};
use hxa_hub::core::Core;
use hxa_hub::core::caller::BotCaller;

const MIB: u64 = 1024 * 1024;
const DAY_MS: i64 = 86_400_000;
/// Memory that one upload takes: what is gathered before it is written, and the buffers of parser and connection.
const MEMORY: usize = 384 * 1024;

/// The uploads of a hub.
pub struct Uploads {
    core: Core,
    day: Mutex<Day>,
    /// Held while a day is read, so that it is read once.
    reading: tokio::sync::Mutex<()>,
    under_way: Arc<Shares<Holder>>,
}

/// Bytes of one day, those of unfinished uploads included.
#[derive(Debug, Default)]
struct Day {
    /// When it began, ms; none was read yet when this is 0.
    since: i64,
    all: u64,
    orgs: HashMap<OrgId, u64>,
    bots: HashMap<(OrgId, BotId), u64>,
}

/// What may be uploaded in a day, in bytes.
#[derive(Debug, Clone, Copy)]
struct Quota {
    /// To the hub, by all organisations together.
    all: u64,
    /// Organisations that share it.
    orgs: u64,
    /// By one bot.
    bot: u64,
}

/// Whose quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UsedUp {
    Bot,
    Org,
    Hub,
}

impl Day {
    /// Takes `more` bytes for a bot, if they fit.
    fn take(&mut self, (org, bot): (OrgId, BotId), more: u64, quota: Quota) -> Result<(), UsedUp> {
        let of_bot = self.bots.get(&(org, bot)).copied().unwrap_or(0).saturating_add(more);
        if of_bot > quota.bot {
            return Err(UsedUp::Bot);
        }
        let all = self.all.saturating_add(more);
        if all > quota.all {
            return Err(UsedUp::Hub);
        }
        if all.saturating_add(self.reserved_for_others(org, more, quota)) > quota.all {
            return Err(UsedUp::Org);
        }
        self.all = all;
        *self.orgs.entry(org).or_default() += more;
        self.bots.insert((org, bot), of_bot);
        Ok(())
    }

    /// What other organisations have not used of their parts; nothing while `more` is within the own one.
    fn reserved_for_others(&self, own: OrgId, more: u64, quota: Quota) -> u64 {
        let part = quota.all / 2 / quota.orgs.max(1);
        if self.orgs.get(&own).copied().unwrap_or(0).saturating_add(more) <= part {
            return 0;
        }
        let others = quota.orgs.saturating_sub(1);
        // Organisations that are gone may have used some as well.
        let seen = self.orgs.iter().filter(|(org, _)| **org != own);
        let used = seen.fold(0_u64, |sum, (_, used)| sum.saturating_add(part.min(*used)));
        part.saturating_mul(others).saturating_sub(used)
    }

    fn release(&mut self, (org, bot): (OrgId, BotId), less: u64) {
        self.all = self.all.saturating_sub(less);
        if let Some(of_org) = self.orgs.get_mut(&org) {
            *of_org = of_org.saturating_sub(less);
        }
        if let Some(of_bot) = self.bots.get_mut(&(org, bot)) {
            *of_bot = of_bot.saturating_sub(less);
        }
    }
}

impl Uploads {
    /// None yet.
    #[must_use]
    pub fn new(core: Core) -> Arc<Self> {
        let most = core.config().files.uploads_at_once;
        Arc::new(Self {
            core,
            day: Mutex::default(),
            reading: tokio::sync::Mutex::new(()),
            under_way: Shares::new(most),
        })
    }
}

/// One upload under way. What it has taken of the quotas goes back when it is dropped, unless it was [kept](Self::keep).
pub struct Reservation {
    uploads: Arc<Uploads>,
    caller: BotCaller,
    since: i64,
    orgs: u64,
    taken: u64,
    _slot: Share<Holder>,
    _memory: Share<Holder>,
}

/// Begins an upload of a bot; `announced` is how long its whole request says it is.
///
/// # Errors
/// 429 when too many uploads are under way, or when it would not fit into what is left of the day.
pub async fn begin(uploads: &Arc<Uploads>, caller: &BotCaller, announced: Option<u64>) -> ApiResult<Reservation> {
    let (org, member) = Holder::bot(caller.org.id, caller.bot.id);
    let core = &uploads.core;
    let slot = uploads.under_way.take(org, member, 1).map_err(|full| too_many(core, full, "uploads are under way"))?;
    let memory =
        core.bodies().take(org, member, MEMORY).map_err(|full| too_many(core, full, "bytes are being read"))?;
    let orgs = core.store().read(queries::count_orgs).await?;
    let orgs = u64::try_from(orgs).unwrap_or(1);
    let since = today(core);
    read_day(uploads, since).await?;
    let mut upload = Reservation {
        uploads: uploads.clone(),
        caller: caller.clone(),
        since,
        orgs,
        taken: 0,
        _slot: slot,
        _memory: memory,
    };
    // The request is longer than its file by a boundary and some headers; what they take at most is not held against it.
    upload.check(announced.unwrap_or(0).saturating_sub(64 * 1024).max(1))?;
    Ok(upload)
}

/// Midnight of UTC.
fn today(core: &Core) -> i64 {
    let now = core.now();
    now.saturating_sub(now.rem_euclid(DAY_MS))
}

/// Reads what was uploaded since the day began, if that is not known yet.
async fn read_day(uploads: &Uploads, since: i64) -> ApiResult<()> {
    if uploads.day.lock().since == since {
        return Ok(());
    }
    let _guard = uploads.reading.lock().await;
    if uploads.day.lock().since == since {
        return Ok(());
    }
    let rows = uploads.core.store().read(move |conn| queries::uploaded_since(conn, since)).await?;
    let mut day = Day { since, ..Day::default() };
    for row in rows {
        let (org, size) = (row.org_id, u64::try_from(row.bytes).unwrap_or(0));
        day.all = day.all.saturating_add(size);
        *day.orgs.entry(org).or_default() += size;
        if let Some(bot) = row.uploader_id.as_deref().and_then(BotId::parse) {
            *day.bots.entry((org, bot)).or_default() += size;
        }
    }
    *uploads.day.lock() = day;
    Ok(())
}

impl Reservation {
    fn owner(&self) -> (OrgId, BotId) {
        (self.caller.org.id, self.caller.bot.id)
    }

    fn quota(&self) -> Quota {
        let bot = u64::try_from(self.caller.org.settings().file_upload_mb_per_day_per_bot).unwrap_or(0);
        let all = self.uploads.core.config().files.upload_mb_per_day.saturating_mul(MIB);
        Quota { all, orgs: self.orgs, bot: bot.saturating_mul(MIB) }
    }

    /// Refuses what would not fit; nothing is taken.
    fn check(&mut self, bytes: u64) -> ApiResult<()> {
        self.grow(bytes)?;
        self.release();
        Ok(())
    }

    /// Counts bytes that have arrived.
    ///
    /// # Errors
    /// 429 when a quota of the day is used up.
    pub fn grow(&mut self, more: u64) -> ApiResult<()> {
        let taken = self.uploads.day.lock().take(self.owner(), more, self.quota());
        taken.map_err(|used_up| self.refusal(used_up))?;
        self.taken = self.taken.saturating_add(more);
        Ok(())
    }

    /// The file is stored, and counts for its day.
    ///
    /// # Errors
    /// 429 when the day it was begun in is over, and it does not fit into the next.
    pub async fn finish(&mut self) -> ApiResult<()> {
        let since = today(&self.uploads.core);
        if since != self.since {
            read_day(&self.uploads, since).await?;
            self.since = since;
            let taken = std::mem::take(&mut self.taken);
            self.grow(taken)?;
        }
        Ok(())
    }

    /// What was taken stays taken.
    pub fn keep(mut self) {
        self.taken = 0;
    }

    fn release(&mut self) {
        let mut day = self.uploads.day.lock();
        if day.since == self.since {
            day.release(self.owner(), self.taken);
        }
        self.taken = 0;
    }

    /// The refusal until the day, counted in UTC, is over.
    fn refusal(&self, used_up: UsedUp) -> ApiError {
        self.uploads.core.metrics().limited("uploads");
        let quota = self.quota();
        let left_ms = DAY_MS.saturating_sub(self.uploads.core.now().rem_euclid(DAY_MS));
        let reset_s = u64::try_from(left_ms / 1000).unwrap_or(1).max(1);
        let (what, most) = match used_up {
            UsedUp::Bot => ("The bot's uploads", quota.bot),
            UsedUp::Org => ("The organisation's part of the hub's uploads", quota.all),
            UsedUp::Hub => ("The hub's uploads", quota.all),
        };
        let limit = u32::try_from(most / MIB).unwrap_or(u32::MAX);
        // In MiB: a rest that the file does not fit into counts as none.
        let allowance = Allowance { limit, remaining: 0, reset_s, window_s: DAY_MS.unsigned_abs() / 1000 };
        let message = format!("{what} of the day are used up, or this file does not fit; try again in {reset_s} s");
        ApiError::new(ErrorCode::RateLimited, message).with("retry_after", reset_s).under(allowance)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

fn too_many(core: &Core, full: Full, what: &str) -> ApiError {
    core.metrics().limited("uploads");
    let whose = match full {
        Full::Member => "Too many of the bot's",
        Full::Org => "Too many of the organisation's",
        Full::Whole => "Too many",
    };
    ApiError::new(ErrorCode::RateLimited, format!("{whose} {what}; try again in 1 s")).with("retry_after", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (OrgId, BotId) {
        (OrgId::random(), BotId::random())
    }

    const QUOTA: Quota = Quota { all: 1000, orgs: 1, bot: 600 };

    #[test]
    fn a_lone_organisation_gets_everything() {
        let (org, ada) = ids();
        let mut day = Day::default();
        assert_eq!(day.take((org, ada), 601, QUOTA), Err(UsedUp::Bot));
        assert_eq!(day.take((org, ada), 600, QUOTA), Ok(()));
        assert_eq!(day.take((org, BotId::random()), 401, QUOTA), Err(UsedUp::Hub));
        assert_eq!(day.take((org, BotId::random()), 400, QUOTA), Ok(()));
        day.release((org, ada), 100);
        assert_eq!(day.take((org, ada), 100, QUOTA), Ok(()));
    }

    #[test]
    fn no_organisation_uses_up_what_others_need() {
        let quota = Quota { all: 1000, orgs: 4, bot: 1000 };
        let (one, two, three) = (ids(), ids(), ids());
        let mut day = Day::default();
        let mut sum = 0;
        while day.take(one, 5, quota).is_ok() {
            sum += 5;
        }
        assert_eq!(sum, 625, "half, and its part of the other half");
        assert_eq!(day.take(two, 125, quota), Ok(()));
        assert_eq!(day.take(two, 1, quota), Err(UsedUp::Org), "the rest is kept for the others");
        assert_eq!(day.take(three, 125, quota), Ok(()));
        assert_eq!(day.take(ids(), 125, quota), Ok(()));
        assert_eq!(day.take(ids(), 1, quota), Err(UsedUp::Hub), "the quota is the whole hub's");
    }
}
