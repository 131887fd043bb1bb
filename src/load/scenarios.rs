//! The scenarios, one file per group. Each turns the options into a `Plan` (or, as `connect` and `deadlines`, runs itself) with
//! defaults that give a meaningful run on a small machine.

mod connect;
mod contention;
mod coordination;
mod deadlines;
mod messages;
mod mixed;
mod request_list;
mod rest;

use crate::cli::Scenario;
use crate::context::Context;
use crate::error::Result;
use crate::outcome::Outcome;

/// Runs one scenario.
pub async fn run(context: &mut Context, scenario: Scenario) -> Result<Outcome> {
    let name = scenario.name();
    match scenario {
        Scenario::Dm => messages::dm(context, &name).await,
        Scenario::ThreadFanout => messages::thread_fanout(context, &name).await,
        // `all` was spelled out before.
        Scenario::ManyThreads | Scenario::All => messages::many_threads(context, &name).await,
        Scenario::Transitions => contention::transitions(context, &name).await,
        Scenario::Artifacts => contention::artifacts(context, &name).await,
        Scenario::RestSend => rest::send(context, &name).await,
        Scenario::RestPoll => rest::poll(context, &name).await,
        Scenario::RestHistory => rest::history(context, &name).await,
        Scenario::Connect => connect::connect(context, &name).await,
        Scenario::Coordinate => coordination::coordinate(context, &name).await,
        Scenario::CoordinateSse => coordination::stream(context, &name).await,
        Scenario::Deadlines => deadlines::deadlines(context, &name).await,
        Scenario::RequestList => request_list::list(context, &name).await,
        Scenario::Mixed => mixed::mixed(context, &name).await,
        Scenario::Soak => mixed::soak(context, &name).await,
    }
}
