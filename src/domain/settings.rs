//! The settings of an organisation.
//!
//! Numbers are whole, at least 1 and fit a 32-bit column; the three retention periods may be null, which means never. A
//! change names any subset of the settings and is applied or refused as a whole. Whether bots need approval is a field
//! of the organisation but is read and changed here too.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, AnySchema, Form};
use crate::ids::OrgId;
use crate::limits;
use crate::policy::{self, PermissionPolicy};
use crate::query::integer;
use crate::text::{Fields, flag, kind};

/// Everything an organisation can set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgSettings {
    /// Messages a bot may send in a minute.
    pub messages_per_minute_per_bot: i32,
    /// Threads a bot may open in an hour.
    pub threads_per_hour_per_bot: i32,
    /// Megabytes a bot may upload in a day.
    pub file_upload_mb_per_day_per_bot: i32,
    /// Days after which messages are deleted.
    pub message_ttl_days: Option<i32>,
    /// Idle days after which threads are closed.
    pub thread_auto_close_days: Option<i32>,
    /// Days after which artifact versions of finished threads are deleted.
    pub artifact_retention_days: Option<i32>,
    /// The policy of threads that have none of their own.
    pub default_thread_permission_policy: Option<PermissionPolicy>,
    /// When the settings were last written; 0 before that.
    pub updated_at: i64,
    /// Whether new bots wait for an admin.
    pub join_approval_required: bool,
}

impl Default for OrgSettings {
    fn default() -> Self {
        Self {
            messages_per_minute_per_bot: limits::DEFAULT_MESSAGES_PER_MINUTE,
            threads_per_hour_per_bot: limits::DEFAULT_THREADS_PER_HOUR,
            file_upload_mb_per_day_per_bot: limits::DEFAULT_BOT_UPLOAD_MB,
            message_ttl_days: None,
            thread_auto_close_days: None,
            artifact_retention_days: None,
            default_thread_permission_policy: None,
            updated_at: 0,
            join_approval_required: false,
        }
    }
}

/// A checked change of settings: every field absent or given, the nullable ones also as null (`Some(None)`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// Messages a bot may send in a minute.
    pub messages_per_minute_per_bot: Option<i32>,
    /// Threads a bot may open in an hour.
    pub threads_per_hour_per_bot: Option<i32>,
    /// Megabytes a bot may upload in a day.
    pub file_upload_mb_per_day_per_bot: Option<i32>,
    /// Days after which messages are deleted.
    pub message_ttl_days: Option<Option<i32>>,
    /// Idle days after which threads are closed.
    pub thread_auto_close_days: Option<Option<i32>>,
    /// Days after which artifact versions of finished threads are deleted.
    pub artifact_retention_days: Option<Option<i32>>,
    /// The policy of threads that have none of their own.
    pub default_thread_permission_policy: Option<Option<PermissionPolicy>>,
    /// Whether new bots wait for an admin.
    pub join_approval_required: Option<bool>,
}

impl Draft for SettingsPatch {
    /// Checks numbers, nullable numbers, policy and flag in this order, then that anything was given.
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let patch = Self {
            messages_per_minute_per_bot: number(body, "messages_per_minute_per_bot")?,
            threads_per_hour_per_bot: number(body, "threads_per_hour_per_bot")?,
            file_upload_mb_per_day_per_bot: number(body, "file_upload_mb_per_day_per_bot")?,
            message_ttl_days: nullable(body, "message_ttl_days")?,
            thread_auto_close_days: nullable(body, "thread_auto_close_days")?,
            artifact_retention_days: nullable(body, "artifact_retention_days")?,
            default_thread_permission_policy: body
                .get("default_thread_permission_policy")
                .map(PermissionPolicy::from_request)
                .transpose()?,
            join_approval_required: flag("join_approval_required", body.get("join_approval_required"))?,
        };
        if patch == Self::default() {
            return Err(ApiError::validation("At least one setting to change is required"));
        }
        Ok(patch)
    }

    fn form() -> Form {
        let number = || form::whole(1, limits::SETTING_MAX);
        let period = || form::nullable(number());
        Form::new("A change of an organisation's settings; at least one of them.")
            .takes("messages_per_minute_per_bot", number(), "Messages a bot may send in a minute.")
            .takes("threads_per_hour_per_bot", number(), "Threads a bot may open in an hour.")
            .takes("file_upload_mb_per_day_per_bot", number(), "Megabytes a bot may upload in a day.")
            .takes("message_ttl_days", period(), "Days after which messages are deleted; null is never.")
            .takes("thread_auto_close_days", period(), "Idle days after which threads are closed; null is never.")
            .takes(
                "artifact_retention_days",
                period(),
                "Days after which artifact versions of finished threads are deleted; null is never.",
            )
            .takes(
                "default_thread_permission_policy",
                form::nullable(policy::schema()),
                "The policy of threads that have none of their own.",
            )
            .takes("join_approval_required", form::flag(), "Whether new bots wait for an admin.")
    }

    fn refers_to() -> Vec<(String, AnySchema)> {
        form::entries_of::<policy::PermissionPolicy>()
    }
}

schemas_of_drafts!(SettingsPatch);

impl SettingsPatch {
    /// Whether the change touches anything but the approval flag; only then is `updated_at` moved.
    #[must_use]
    pub fn touches_settings_row(&self) -> bool {
        Self { join_approval_required: None, ..self.clone() } != Self::default()
    }

    /// Writes the given fields into the settings.
    pub fn apply(&self, settings: &mut OrgSettings, now: i64) {
        if self.touches_settings_row() {
            settings.updated_at = now;
        }
        let patch = self.clone();
        set(&mut settings.messages_per_minute_per_bot, patch.messages_per_minute_per_bot);
        set(&mut settings.threads_per_hour_per_bot, patch.threads_per_hour_per_bot);
        set(&mut settings.file_upload_mb_per_day_per_bot, patch.file_upload_mb_per_day_per_bot);
        set(&mut settings.message_ttl_days, patch.message_ttl_days);
        set(&mut settings.thread_auto_close_days, patch.thread_auto_close_days);
        set(&mut settings.artifact_retention_days, patch.artifact_retention_days);
        set(&mut settings.default_thread_permission_policy, patch.default_thread_permission_policy);
        set(&mut settings.join_approval_required, patch.join_approval_required);
    }

    /// Exactly the given fields, for the audit row.
    #[must_use]
    pub fn given(&self) -> Value {
        let policy = self.default_thread_permission_policy.as_ref().map(|policy| policy_value(policy.as_ref()));
        let fields = [
            ("messages_per_minute_per_bot", self.messages_per_minute_per_bot.map(Value::from)),
            ("threads_per_hour_per_bot", self.threads_per_hour_per_bot.map(Value::from)),
            ("file_upload_mb_per_day_per_bot", self.file_upload_mb_per_day_per_bot.map(Value::from)),
            ("message_ttl_days", self.message_ttl_days.map(Value::from)),
            ("thread_auto_close_days", self.thread_auto_close_days.map(Value::from)),
            ("artifact_retention_days", self.artifact_retention_days.map(Value::from)),
            ("default_thread_permission_policy", policy),
            ("join_approval_required", self.join_approval_required.map(Value::from)),
        ];
        let given = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(given.collect())
    }
}

impl OrgSettings {
    /// The settings as they are shown, under the id of their organisation if they have one.
    #[must_use]
    pub fn view(&self, org_id: Option<OrgId>) -> SettingsView {
        SettingsView {
            org_id,
            messages_per_minute_per_bot: self.messages_per_minute_per_bot,
            threads_per_hour_per_bot: self.threads_per_hour_per_bot,
            file_upload_mb_per_day_per_bot: self.file_upload_mb_per_day_per_bot,
            message_ttl_days: self.message_ttl_days,
            thread_auto_close_days: self.thread_auto_close_days,
            artifact_retention_days: self.artifact_retention_days,
            default_thread_permission_policy: policy_value(self.default_thread_permission_policy.as_ref()),
            updated_at: self.updated_at,
            join_approval_required: self.join_approval_required,
        }
    }
}

/// The settings as they are shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrgSettings)]
pub struct SettingsView {
    /// Absent in the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    org_id: Option<OrgId>,
    messages_per_minute_per_bot: i32,
    threads_per_hour_per_bot: i32,
    file_upload_mb_per_day_per_bot: i32,
    /// Null is for ever.
    #[schema(required)]
    message_ttl_days: Option<i32>,
    /// Null is never.
    #[schema(required)]
    thread_auto_close_days: Option<i32>,
    /// Null is for ever.
    #[schema(required)]
    artifact_retention_days: Option<i32>,
    /// Labels by action.
    #[schema(required, value_type = Option<std::collections::BTreeMap<String, Option<Vec<String>>>>)]
    default_thread_permission_policy: Value,
    /// 0 before they were first written.
    updated_at: i64,
    join_approval_required: bool,
}

fn policy_value(policy: Option<&PermissionPolicy>) -> Value {
    policy.map_or(Value::Null, PermissionPolicy::to_value)
}

fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

/// A number that may be absent but not null.
fn number(body: &Fields, field: &str) -> ApiResult<Option<i32>> {
    body.get(field).map(|value| bounded(field, value, "")).transpose()
}

/// A number that may be absent or null.
fn nullable(body: &Fields, field: &str) -> ApiResult<Option<Option<i32>>> {
    match body.get(field) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(value) => bounded(field, value, "null or ").map(|number| Some(Some(number))),
    }
}

fn bounded(field: &str, value: &Value, or: &str) -> ApiResult<i32> {
    let number = integer(value).filter(|number| (1..=limits::SETTING_MAX).contains(number));
    number.and_then(|number| i32::try_from(number).ok()).ok_or_else(|| {
        let got = if value.is_number() { value.to_string() } else { kind(value).to_owned() };
        let most = limits::SETTING_MAX;
        ApiError::validation(format!("{field} must be {or}an integer from 1 to {most}, not {got}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> ApiResult<SettingsPatch> {
        SettingsPatch::read(&mut body.as_object().unwrap().clone())
    }

    fn refusal(body: Value) -> String {
        read(&body).unwrap_err().message().to_owned()
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let shown = json!(OrgSettings::default().view(Some(OrgId::from_uuid(uuid::Uuid::nil()))));
        let expected = json!({
            "org_id": "00000000-0000-0000-0000-000000000000", "messages_per_minute_per_bot": 120,
            "threads_per_hour_per_bot": 30, "file_upload_mb_per_day_per_bot": 100, "message_ttl_days": null,
            "thread_auto_close_days": null, "artifact_retention_days": null,
            "default_thread_permission_policy": null, "updated_at": 0, "join_approval_required": false,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn checks_come_in_order() {
        for (body, words) in [
            (json!({"threads_per_hour_per_bot": 0, "message_ttl_days": 0}), "threads_per_hour_per_bot"),
            (json!({"messages_per_minute_per_bot": null}), "not null"),
            (json!({"messages_per_minute_per_bot": 1.5}), "not 1.5"),
            (json!({"messages_per_minute_per_bot": "5"}), "not a string"),
            (json!({"messages_per_minute_per_bot": 2_147_483_648_i64}), "from 1 to 2147483647"),
            (
                json!({"message_ttl_days": -1, "default_thread_permission_policy": 1}),
                "message_ttl_days must be null or",
            ),
            (json!({"default_thread_permission_policy": [], "join_approval_required": 1}), "permission_policy"),
            (json!({"join_approval_required": null}), "join_approval_required"),
            (json!({}), "At least one setting"),
            (json!({"org_id": "x", "updated_at": 1}), "At least one setting"),
        ] {
            let message = refusal(body);
            assert!(message.contains(words), "{words}: {message}");
        }
    }

    #[test]
    fn a_change_is_applied_and_audited_as_given() {
        let body = json!({
            "messages_per_minute_per_bot": 5.0, "message_ttl_days": null, "artifact_retention_days": 7,
            "default_thread_permission_policy": {"write": ["*"]}, "unknown": 1,
        });
        let patch = read(&body).unwrap();
        let mut settings = OrgSettings { message_ttl_days: Some(3), ..OrgSettings::default() };
        patch.apply(&mut settings, 9);
        assert_eq!(settings.messages_per_minute_per_bot, 5);
        assert_eq!((settings.message_ttl_days, settings.artifact_retention_days), (None, Some(7)));
        assert_eq!((settings.threads_per_hour_per_bot, settings.updated_at), (30, 9));
        let given = json!({
            "messages_per_minute_per_bot": 5, "message_ttl_days": null, "artifact_retention_days": 7,
            "default_thread_permission_policy": {"write": ["*"]},
        });
        assert_eq!(patch.given(), given);
    }

    #[test]
    fn the_flag_alone_does_not_date_the_settings() {
        let patch = read(&json!({"join_approval_required": true})).unwrap();
        let mut settings = OrgSettings::default();
        patch.apply(&mut settings, 9);
        assert!(settings.join_approval_required);
        assert_eq!(settings.updated_at, 0);
        assert_eq!(patch.given(), json!({"join_approval_required": true}));
    }
}
