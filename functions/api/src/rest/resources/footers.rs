//! Footers and a disclaimer that stand in members' letters.

use std::collections::BTreeMap;

use pennypost_admin::{Action, DepartmentId};
use pennypost_directory as directory;
use pennypost_directory::{Dress, DressPiece, FooterFault, FooterProblem, FooterRules};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What is put into letters. {name}, {department}, {title}, {company}, {phone} and {email} stand for what the directory knows of the
/// member; a line of the text with nothing but such of which nothing is known is left out.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FooterWording")]
pub(crate) struct Wording {
    /// As plain text: 1 to 4,000 characters on at most 60 lines.
    text: String,
    /// As HTML, at most 20,000 bytes: elements of text, tables and pictures, each with its end. Null: the text, line by line.
    #[serde(default)]
    html: Option<String>,
}

impl Wording {
    pub(super) fn show(wording: &directory::Wording) -> Wording {
        Wording { text: wording.text.clone(), html: wording.html.clone() }
    }

    pub(super) fn meant(self) -> directory::Wording {
        directory::Wording {
            text: self.text.replace("\r\n", "\n"),
            html: self.html.map(|html| html.replace("\r\n", "\n")),
        }
    }
}

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FooterPlace")]
pub(crate) enum Place {
    /// Above the member's own signature, where that can be told; else at the end.
    Above,
    /// At the end of the text.
    Below,
}

/// In which letters it stands.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FooterLetters")]
pub(crate) enum Letters {
    /// In those to the organisation's own people.
    Inside,
    /// In those to others.
    Outside,
    /// In both.
    Both,
}

/// A footer that may be in force.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Footer {
    /// Its name, 1 to 50 characters: no other one has it.
    name: String,
    /// As plain text: 1 to 4,000 characters on at most 60 lines.
    text: String,
    /// As HTML, at most 20,000 bytes: elements of text, tables and pictures, each with its end. Null: the text, line by line.
    #[serde(default)]
    html: Option<String>,
    /// Where it stands.
    place: Place,
    /// In which letters.
    letters: Letters,
}

/// The footer of a department.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DepartmentFooter")]
pub(crate) struct OfDepartment {
    /// The number of a department: its members, and those of departments below it. Of several the nearest holds.
    department: u32,
    /// The name of its footer; null: none.
    #[serde(default)]
    footer: Option<String>,
}

/// What an organisation puts into its members' letters, beside their cards.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Footers")]
pub(crate) struct Rules {
    /// The footers that there are: 20 at most.
    footers: Vec<Footer>,
    /// The name of the one in force; null: none.
    #[serde(default)]
    in_force: Option<String>,
    /// Departments that have another one: 200 at most.
    #[serde(default)]
    departments: Vec<OfDepartment>,
    /// What stands at the end of all letters to others.
    #[serde(default)]
    disclaimer: Option<Wording>,
}

/// A text that would stand in a letter.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LetterText")]
pub(crate) struct Piece {
    /// As plain text.
    pub(super) text: String,
    /// As HTML.
    pub(super) html: String,
    /// Where it stands.
    place: Place,
}

/// What would stand in a letter that an account hands in now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LetterFooters")]
pub(crate) struct Preview {
    /// In one to the organisation's own people, in this order.
    inside: Vec<Piece>,
    /// In one to others.
    outside: Vec<Piece>,
}

const fn place(is_above: bool) -> Place {
    if is_above { Place::Above } else { Place::Below }
}

pub(super) fn piece(piece: &DressPiece) -> Piece {
    Piece { text: piece.text.clone(), html: piece.html.clone(), place: place(piece.is_above) }
}

fn show(rules: &FooterRules) -> Rules {
    let footer = |footer: &directory::Footer| Footer {
        name: footer.name.clone(),
        text: footer.wording.text.clone(),
        html: footer.wording.html.clone(),
        place: place(footer.is_above),
        letters: match (footer.inside, footer.outside) {
            (true, true) => Letters::Both,
            (true, false) => Letters::Inside,
            (false, _) => Letters::Outside,
        },
    };
    let of_department = |(id, footer): (&DepartmentId, &Option<String>)| OfDepartment {
        department: id.0,
        footer: footer.clone(),
    };
    Rules {
        footers: rules.footers.iter().map(footer).collect(),
        in_force: rules.in_force.clone(),
        departments: rules.departments.iter().map(of_department).collect(),
        disclaimer: rules.disclaimer.as_ref().map(Wording::show),
    }
}

fn meant(rules: Rules) -> Result<FooterRules, Refusal> {
    let footers = rules.footers.into_iter().map(|footer| directory::Footer {
        name: footer.name,
        wording: Wording { text: footer.text, html: footer.html }.meant(),
        is_above: footer.place == Place::Above,
        inside: matches!(footer.letters, Letters::Inside | Letters::Both),
        outside: matches!(footer.letters, Letters::Outside | Letters::Both),
    });
    let mut departments = BTreeMap::new();
    for (number, OfDepartment { department, footer }) in rules.departments.into_iter().enumerate() {
        if departments.insert(DepartmentId(department), footer).is_some() {
            let pointer = format!("/departments/{number}/department");
            return Err(pennypost_admin::AdminError::Footer(FooterProblem {
                pointer,
                fault: FooterFault::Twice,
            })
            .into());
        }
    }
    let (in_force, disclaimer) = (rules.in_force, rules.disclaimer.map(Wording::meant));
    Ok(FooterRules { footers: footers.collect(), in_force, departments, disclaimer })
}

fn preview(dress: &Dress) -> Preview {
    let of = |reach| dress.pieces_for(reach).map(piece).collect();
    Preview { inside: of((true, false)), outside: of((false, true)) }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/footers", "read-footers"),
        Action::FooterRead,
        "The footers and the disclaimer that stand in members' letters",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let rules = ask.administration.footers(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&rules)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/footers", "change-footers"),
        Action::FooterChange,
        "Say which footers there are, which is in force and for whom another one, and the disclaimer: letters get it within half a minute",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let (tenant, rules): (_, Rules) = (ask.tenant()?, ask.body()?);
                let rules = meant(rules)?;
                let seen = ask.administration.footers(&ask.call, tenant).await?;
                ask.must_match(&show(&seen))?;
                ask.administration.change_footers(&ask.call, tenant, &seen, &rules).await?;
                Ok(Reply::tagged(&show(&rules)))
            })
        },
    )
    .with(shape::<Rules>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/letter-footers", "preview-footers"),
        Action::FooterPreview,
        "What would stand in a letter that an account hands in now, card included",
        Good::told(shape::<Preview>),
        |ask| {
            Box::pin(async move {
                let dress = ask.administration.letter_footers(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&preview(&dress)))
            })
        },
    ),
];
