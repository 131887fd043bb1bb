//! Answering requests.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Requests;
use crate::actor::Deed;
use crate::principal::Principal;
use crate::rules::rights::{Action, check};
use crate::rules::{AnswerDraft, Faults, Request, RequestId, SchemaKind, State, Verdict, Via, Who, check_answer};
use hxa_domain::error::ApiResult;
use hxa_hub::core::caller::Caller;
use hxa_hub::core::org_state::OrgState;

impl Requests {
    /// Answers a request.
    ///
    /// # Errors
    /// 404 when there is none for this caller, 403 when they may not answer, 400 for an answer that was not asked for, 409 when
    /// the request is not open any more.
    pub async fn respond(&self, principal: &Principal, id: RequestId, draft: AnswerDraft) -> ApiResult<Arc<Request>> {
        let AnswerDraft { response_data, responded_by } = draft;
        let answering = Answering { data: response_data, named: responded_by, via: Via::Api };
        self.answer(principal.caller.clone(), principal.who.clone(), id, answering).await
    }

    /// Answers a request by a button of a channel outside; `who` was found out there.
    ///
    /// # Errors
    /// As [`Self::respond`].
    pub async fn respond_from(
        &self,
        org: &Arc<OrgState>,
        who: Who,
        id: RequestId,
        (data, via): (Map<String, Value>, Via),
    ) -> ApiResult<Arc<Request>> {
        self.answer(Caller::Hub(org.clone()), who, id, Answering { data, named: None, via }).await
    }

    async fn answer(&self, caller: Caller, who: Who, id: RequestId, answering: Answering) -> ApiResult<Arc<Request>> {
        let request = self.load(caller.org(), id).await?;
        check(&request, &who, Action::Answer, self.core().now())?;
        let Answering { data, named, via } = answering;
        let (verdict, data) = self.judge(request, data).await?;
        self.act(caller, who, id, Deed::Answer { data, named, verdict, via }).await
    }

    /// What an answer amounts to. The form of the answer never changes, so this can be found out beforehand, and for large
    /// forms on a thread that does not serve.
    async fn judge(&self, request: Arc<Request>, data: Map<String, Value>) -> ApiResult<(Verdict, Map<String, Value>)> {
        if request.state != State::PendingResponse {
            // Its actor refuses it, naming the state.
            return Ok((Verdict::Given, data));
        }
        let is_structured =
            request.response_schema.as_ref().is_some_and(|schema| schema.kind == SchemaKind::Structured);
        if !is_structured {
            return Ok((check_answer(&request, &data)?, data));
        }
        let org = request.org;
        let judge = move || -> Result<_, Faults> { Ok((check_answer(&request, &data)?, data)) };
        Ok(self.core().store().work_for(Some(org), judge).await??)
    }
}

/// An answer on its way.
struct Answering {
    data: Map<String, Value>,
    named: Option<String>,
    via: Via,
}
