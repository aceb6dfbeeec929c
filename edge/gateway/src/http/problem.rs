use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hedgerow_records::Rejection;
use serde_json::json;

use crate::{QueryError, SubmitError, door::DoorError, outcome::rejection_code, spool::SpoolError};

/// An error as RFC 9457 has it (`application/problem+json`).
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after_s: Option<u32>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after_s: None,
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(5)
    }

    pub(crate) const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn rejected(rejection: &Rejection) -> Self {
        let status = match rejection {
            Rejection::NotABundle
            | Rejection::Malformed
            | Rejection::Empty
            | Rejection::UnknownVersion { .. }
            | Rejection::WrongNetwork { .. }
            | Rejection::BadPublicKey { .. }
            | Rejection::WrongGenesis { .. } => StatusCode::BAD_REQUEST,
            Rejection::UnknownDevice { .. }
            | Rejection::WrongAlgorithm { .. }
            | Rejection::BadSignature
            | Rejection::NotAMember { .. }
            | Rejection::NotAValidator { .. } => StatusCode::FORBIDDEN,
            Rejection::Conflict { .. }
            | Rejection::TooManyGaps { .. }
            | Rejection::NameTaken { .. }
            | Rejection::AlreadyRegistered { .. }
            | Rejection::WrongEpoch { .. }
            | Rejection::EpochJustBegan { .. }
            | Rejection::OrdersAlready { .. }
            | Rejection::TooManyVotes { .. }
            | Rejection::WrongRound { .. }
            | Rejection::HasTheseRoles { .. }
            | Rejection::ValidatorsStay
            | Rejection::TooManyMotions { .. }
            | Rejection::NotVoted
            | Rejection::NotExecutable(_) => StatusCode::CONFLICT,
            Rejection::NotAllowed { .. } => StatusCode::FORBIDDEN,
        };
        Self::new(status, rejection_code(rejection), rejection.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:hedgerow:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, kind, body.to_string()).into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<DoorError> for Problem {
    fn from(error: DoorError) -> Self {
        let (status, code) = match &error {
            DoorError::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            DoorError::Empty => (StatusCode::BAD_REQUEST, "empty"),
            DoorError::UnknownVersion { .. } => (StatusCode::BAD_REQUEST, "unknown-version"),
            DoorError::WrongNetwork { .. } => (StatusCode::BAD_REQUEST, "wrong-network"),
            DoorError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            DoorError::OtherDevice { .. } => (StatusCode::FORBIDDEN, "other-device"),
            DoorError::NotExecutable(_) => (StatusCode::BAD_REQUEST, "not-executable"),
            DoorError::Spool(error) => return error.clone().into(),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<SpoolError> for Problem {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Full { .. } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "store-full",
                error.to_string(),
            )
            .retry_after(5),
            SpoolError::Failed(_) => Self::unavailable("store-failed", error.to_string()),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::unavailable("network-unavailable", error.to_string())
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        Self::unavailable("network-unavailable", error.to_string())
    }
}
