//! Kinds of problems. Their names are for programs and stay; their titles are for people.

use axum::http::StatusCode;

use crate::language::Language;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $status:ident $name:literal $english:literal $chinese:literal;)*) => {
        /// What is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Kind::$variant => StatusCode::$status,)* }
            }

            pub(crate) const fn uri(self) -> &'static str {
                match self { $(Kind::$variant => concat!("urn:pennypost:problem:", $name),)* }
            }

            pub(crate) const fn title(self, language: Language) -> &'static str {
                match self { $(Kind::$variant => language.say($english, $chinese),)* }
            }
        }
    };
}

kinds! {
    BadBody BAD_REQUEST "bad-body" "the body can't be understood" "无法理解请求内容";
    BadParameter BAD_REQUEST "bad-parameter" "a parameter can't be understood" "无法理解请求参数";
    Unauthorised UNAUTHORIZED "unauthorised" "a key is needed that opens this" "需要有效的密钥";
    NoPermission FORBIDDEN "no-permission" "no permission for this operation" "没有执行该操作的权限";
    OutOfReach FORBIDDEN "out-of-reach" "the permission does not reach so far" "超出了权限的管理范围";
    AboveActor FORBIDDEN "above-actor" "this needs powers that you do not have yourself" "该操作涉及您自己并不具有的权限";
    NotFound NOT_FOUND "not-found" "there is nothing here" "没有找到";
    OtherMethod METHOD_NOT_ALLOWED "other-method" "not by this method" "不支持该方法";
    Taken CONFLICT "taken" "it is taken" "已被占用";
    Held CONFLICT "held" "it is still in use" "仍在使用中";
    OtherState CONFLICT "other-state" "not in the state in which it is" "当前状态下不允许该操作";
    PlanLimit CONFLICT "plan-limit" "the plan of the organisation does not allow it" "组织的套餐不允许该操作";
    InProgress CONFLICT "in-progress" "the same request is being worked on" "相同的请求正在处理中";
    Changed PRECONDITION_FAILED "changed" "it has been changed meanwhile" "内容已被他人修改";
    TooLarge PAYLOAD_TOO_LARGE "too-large" "the request is too large" "请求过大";
    OtherMedia UNSUPPORTED_MEDIA_TYPE "other-media-type" "the body has to be JSON" "请求内容必须是 JSON";
    Invalid UNPROCESSABLE_ENTITY "invalid" "this can't be" "内容不符合要求";
    Unknown UNPROCESSABLE_ENTITY "unknown-reference" "something that is named is not there" "引用的对象不存在";
    KeyReused UNPROCESSABLE_ENTITY "idempotency-key-reused" "the key of an earlier, other request" "该幂等键已用于另一个请求";
    PreconditionRequired PRECONDITION_REQUIRED "precondition-required" "say which state you have seen" "请说明所依据的版本";
    TooManyRequests TOO_MANY_REQUESTS "too-many-requests" "too many requests" "请求过于频繁";
    Damaged INTERNAL_SERVER_ERROR "damaged" "the store holds damaged data" "存储的数据已损坏";
    Elsewhere FORBIDDEN "elsewhere" "not from your address" "不允许从您的地址访问";
    WrongPassword FORBIDDEN "wrong-password" "the old password is not right" "原密码不正确";
    SignInRefused UNAUTHORIZED "sign-in-refused" "address, password or code is wrong" "地址、密码或验证码错误";
    CodeNeeded UNAUTHORIZED "code-needed" "a code of the second factor is needed" "需要二次验证码";
    ConfirmationNeeded FORBIDDEN "confirmation-needed" "show the second factor first" "请先完成二次验证";
    FactorMissing FORBIDDEN "second-factor-missing" "set up a second factor first" "请先设置二次验证";
    SecondNeeded CONFLICT "second-administrator-needed" "a second administrator has to confirm it" "需要另一位管理员确认";
    PasswordOver FORBIDDEN "password-change-needed" "change your password first" "请先修改密码";
    WrongCode UNPROCESSABLE_ENTITY "wrong-code" "the code is wrong, or was used" "验证码错误或已使用";
    WrongPasskey UNPROCESSABLE_ENTITY "wrong-passkey" "the passkey was not accepted" "通行密钥未被接受";
    ProviderFailed BAD_GATEWAY "provider-failed" "the provider of identities does not answer as it should" "身份提供方的应答异常";
    OtherPage FORBIDDEN "other-page" "not asked by a page of this post office" "请求并非来自本邮局的页面";
    Unavailable SERVICE_UNAVAILABLE "unavailable" "not now, try again later" "暂时不可用，请稍后再试";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_is_said_in_both_languages() {
        let names: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.uri()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(kind.status().is_client_error() || kind.status().is_server_error());
            assert!(kind.title(Language::English).is_ascii(), "{kind:?}");
            assert!(!kind.title(Language::Chinese).is_ascii(), "{kind:?}");
        }
    }
}
