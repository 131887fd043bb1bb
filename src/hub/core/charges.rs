//! Charging calls and writes to the budgets of their callers.

use std::net::IpAddr;

use uuid::Uuid;

use super::Core;
use super::budgets::{Budgets, Poor, Rates};
use super::call::{Call, Operation};
use super::caller::Caller;
use hxa_domain::address::network;
use hxa_domain::budget::{self, Empty, WriteClass};
use hxa_domain::error::{Allowance, ApiError, ApiResult};
use hxa_store::Write;

impl Core {
    pub(super) fn uptime(&self) -> u64 {
        u64::try_from(self.uptime_ms()).unwrap_or(0)
    }

    /// Charges a call of an actor.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub(crate) fn charge_call<O: Operation>(&self, call: &Call<O>) -> ApiResult<()> {
        match call.operation.class() {
            Some(class) => self.charge(&call.caller, class, || call.operation.bytes()),
            None => Ok(()),
        }
    }

    /// Charges the founding of an organisation, or the attempt, to the address it comes from.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge_founder(&self, address: IpAddr) -> ApiResult<()> {
        self.charge_member(self.strangers(), member_at(address), WriteClass::Registration, || 0)
    }

    /// Charges a call of whomever to the address it comes from.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge_address(&self, address: IpAddr, class: WriteClass) -> ApiResult<()> {
        self.charge_member(self.strangers(), member_at(address), class, || 0).map_err(|refusal| {
            let wait = refusal.retry_after().unwrap_or(1);
            let message = format!("Too many {} from this address; try again in {wait} s", class.what());
            refusal.saying(message).with("scope", "address")
        })
    }

    /// Charges what a refusal writes to the audit trail.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub(crate) fn charge_denials(&self, caller: &Caller, denials: &[Write]) -> ApiResult<()> {
        if denials.is_empty() { Ok(()) } else { self.charge(caller, WriteClass::Refusal, || 0) }
    }

    /// Charges a write; what it carries is only counted where that matters. The hub itself and the platform's admins, who
    /// act in its name, are not charged.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge(&self, caller: &Caller, class: WriteClass, bytes: impl FnOnce() -> usize) -> ApiResult<()> {
        let member = match caller {
            Caller::Bot(caller) => caller.bot.id.uuid(),
            // People who administer an organisation share what one bot has, and so does a bot that does it.
            Caller::Admin(caller) => caller.bot.as_ref().map_or_else(|| caller.org.id.uuid(), |bot| bot.id.uuid()),
            Caller::Person(caller) => caller.person.id.uuid(),
            Caller::Hub(_) => return Ok(()),
        };
        self.charge_member(&caller.org().budgets, member, class, bytes)
    }

    /// Charges a write to a member of the owner of these budgets.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub fn charge_member(
        &self,
        budgets: &Budgets,
        member: Uuid,
        class: WriteClass,
        bytes: impl FnOnce() -> usize,
    ) -> ApiResult<()> {
        let Some(rates) = budgets.rates(Rates(self.config()).of(class)) else {
            return Ok(());
        };
        let cost = budget::cost(bytes());
        budgets.take(member, class, rates, cost, self.uptime()).map_err(|poor| {
            let (whose, empty) = match poor {
                Poor::Member(empty) => ("bot", empty),
                Poor::Org(empty) => ("organisation", empty),
            };
            self.metrics().limited(&format!("{class}_{whose}"));
            refusal(class, whose, cost, &empty)
        })
    }
}

/// The member that an address is among strangers.
fn member_at(address: IpAddr) -> Uuid {
    match network(address) {
        IpAddr::V4(address) => Uuid::from_u128(address.to_ipv6_mapped().to_bits()),
        IpAddr::V6(address) => Uuid::from_u128(address.to_bits()),
    }
}

fn refusal(class: WriteClass, whose: &str, cost: u64, empty: &Empty) -> ApiError {
    let (what, most, wait) = (class.what(), empty.per_minute, empty.wait_s.max(1));
    let message = format!(
        "Too many {what} by this {whose}: this one costs {cost} of {most} units a minute (one, and one more for each 16 KiB) \
         and {} are left; try again in {wait} s",
        empty.left
    );
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let allowance = Allowance { limit: number(most), remaining: number(empty.left), reset_s: wait, window_s: 60 };
    ApiError::rate_limited(wait).saying(message).with("limit", class.as_str()).with("scope", whose).under(allowance)
}
