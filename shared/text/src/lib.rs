//! Everything that the program says to a person, in English and in simplified Chinese.
//!
//! One Fluent file per language, embedded at compile time; [`say!`](crate::say) looks a message up by its key. The tests
//! hold both files to the same keys and variables, and every key in the code of all crates to the files. What machines read
//! (JSON, protocol replies, log lines) and clap's own words are English and do not stand here. Owns nothing that is stored;
//! nothing can be lost.

use std::fmt;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

mod directory;
mod plain;
#[cfg(test)]
mod tests;

pub use directory::directory_message;
pub use plain::plain;

const EN: &str = include_str!("en.ftl");
const ZH_CN: &str = include_str!("zh-CN.ftl");

/// A language of the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Chinese in simplified characters.
    ZhCn,
}

impl Lang {
    /// The language that a person asks for: by `--lang`, else by the first that is set and not empty of
    /// `PENNYPOST_LANG`, `LC_ALL`, `LC_MESSAGES` and `LANG`. English for every language that is not here.
    #[must_use]
    pub fn choose(flag: Option<Lang>, environment: impl Fn(&str) -> Option<String>) -> Lang {
        let from_environment = || {
            let names = ["PENNYPOST_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
            names.into_iter().find_map(|name| environment(name).filter(|value| !value.is_empty()))
        };
        flag.or_else(|| Lang::named(&from_environment()?)).unwrap_or_default()
    }

    /// The language of a tag or a locale: `en`, `zh-CN`, `zh_CN.UTF-8`.
    #[must_use]
    pub fn named(name: &str) -> Option<Lang> {
        let language = name.split(['-', '_', '.', '@']).next().unwrap_or_default();
        [Lang::En, Lang::ZhCn]
            .into_iter()
            .find(|lang| lang.tag().split('-').next().is_some_and(|tag| tag.eq_ignore_ascii_case(language)))
    }

    /// Its tag (RFC 5646).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::ZhCn => "zh-CN",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Lang::En => EN,
            Lang::ZhCn => ZH_CN,
        }
    }
}

/// The messages of one language.
pub struct Text {
    lang: Lang,
    bundle: FluentBundle<FluentResource>,
}

impl Text {
    /// The messages of `lang`.
    #[must_use]
    pub fn new(lang: Lang) -> Text {
        let locales = lang.tag().parse().into_iter().collect();
        let mut bundle = FluentBundle::new_concurrent(locales);
        // Marks around inserted values confuse terminals and whoever copies from them.
        bundle.set_use_isolating(false);
        // What can be read of a broken file is better than nothing; a test shows that none is broken.
        let resource = FluentResource::try_new(lang.source().to_owned());
        bundle.add_resource_overriding(resource.unwrap_or_else(|(resource, _)| resource));
        Text { lang, bundle }
    }

    /// Which language it is.
    #[must_use]
    pub const fn lang(&self) -> Lang {
        self.lang
    }

    /// The message `key` with `values` put in; the key itself if there is no such message. To be called
    /// through [`say!`](crate::say), so that the tests see the key.
    #[must_use]
    pub fn message(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        let mut arguments = FluentArgs::with_capacity(values.len());
        for (name, value) in values {
            arguments.set(*name, value.clone());
        }
        self.bundle.format_pattern(pattern, Some(&arguments), &mut Vec::new()).into_owned()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("lang", &self.lang).finish_non_exhaustive()
    }
}

/// A value for a message: numbers stay numbers (they decide plurals but are written without separators),
/// everything else is its text.
pub trait IntoValue {
    /// The value.
    fn into_value(self) -> FluentValue<'static>;
}

macro_rules! text_values {
    ($($type:ty),*) => { $(impl IntoValue for $type {
        fn into_value(self) -> FluentValue<'static> {
            FluentValue::from(self.to_string())
        }
    })* };
}
text_values!(&str, &String, String, &dyn fmt::Display);

macro_rules! number_values {
    ($($type:ty),*) => { $(impl IntoValue for $type {
        fn into_value(self) -> FluentValue<'static> {
            FluentValue::from(self)
        }
    })* };
}
number_values!(u16, u32, u64, usize, i32, i64);

/// `say!(text, "key", name = value, …)`: the message of that key.
#[macro_export]
macro_rules! say {
    ($text:expr, $key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $text.message($key, &[$((stringify!($name), $crate::IntoValue::into_value($value))),*])
    };
}
