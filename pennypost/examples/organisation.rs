//! How long pages, searches and look-ups of a large organisation take beside many others, on the embedded backend:
//!
//! ```text
//! cargo run --release -p pennypost --example organisation -- DATA_DIRECTORY [TENANTS]
//! ```
//!
//! The directory holds a tenant already into which an organisation was imported, the one with the most departments;
//! TENANTS small ones are added beside it. Each figure is over 2,000 calls, one after the other, of arguments that
//! change with each.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{Directory, NewAccount, Page, Person, Resolved};
use pennypost_ports::{RandomIds, SystemClock};

const CALLS: usize = 2_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().map(PathBuf::from).ok_or("name the data directory")?;
    let tenants: usize = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let embedded = Embedded::open(&data, &Options::tool())?;
    let directory = Directory::new(embedded.control(), Arc::new(SystemClock), Arc::new(RandomIds));

    let mut large = None;
    for tenant in directory.tenants(&Page::default()).await?.items {
        let departments = directory.departments(tenant.id).await?.len();
        if large.as_ref().is_none_or(|(_, most)| *most < departments) {
            large = Some((tenant.id, departments));
        }
    }
    let (tenant, departments) = large.ok_or("no tenant there")?;
    let mut people: Vec<Person> = Vec::new();
    let tree = directory.departments(tenant).await?;
    let ids: Vec<_> = tree.walk().into_iter().map(|(_, department)| department.id).collect();
    for id in &ids {
        people.extend(directory.members(tenant, *id, &Page::default()).await?.items);
    }
    println!("{} people in {departments} departments", people.len());
    let before = resident();
    for number in 0..tenants {
        let name = format!("small {number}");
        if directory.tenant_named(&name).await?.is_some() {
            continue;
        }
        let small = directory.add_tenant(&name).await?.id;
        let domain = format!("small{number}.example");
        directory.add_domain(small, &domain).await?;
        for person in ["ann", "bob"] {
            let address = format!("{person}@{domain}");
            directory.add_account_with(&NewAccount { address: &address, ..NewAccount::default() }).await?;
        }
        directory.find_people(small, "a", 10).await?;
    }
    println!("{tenants} small tenants beside it; resident before and after: {before} KB, {} KB", resident());

    let page = Page { after: None, limit: 50 };
    measure("page of a department", async |call| {
        let id = ids[call % ids.len()];
        Ok(directory.members(tenant, id, &page).await?.items.len())
    })
    .await?;
    for (what, text) in [
        (
            "search by name in characters",
            Box::new(|person: &Person| person.display_name.clone()) as Box<dyn Fn(&Person) -> String>,
        ),
        (
            "search by one character",
            Box::new(|person: &Person| person.display_name.chars().take(1).collect()),
        ),
        ("search by the address", Box::new(|person: &Person| person.address.local().to_owned())),
        ("search by a letter", Box::new(|person: &Person| person.address.local().chars().take(1).collect())),
    ] {
        measure(what, async |call| {
            let person = &people[(call * 7_919) % people.len()];
            Ok(directory.find_people(tenant, &text(person), 20).await?.len())
        })
        .await?;
    }
    for text in ["wxm", "zhangwei", "li"] {
        measure(&format!("search by {text}"), async |_| {
            Ok(directory.find_people(tenant, text, 20).await?.len())
        })
        .await?;
    }
    measure("look-up at RCPT", async |call| {
        let person = &people[(call * 7_919) % people.len()];
        let resolved = directory.resolve(&person.address.to_string()).await?;
        Ok(usize::from(matches!(resolved, Resolved::Local { .. })))
    })
    .await?;
    measure("look-up at RCPT of nobody", async |call| {
        let person = &people[call % people.len()];
        directory.resolve(&format!("nobody{call}@{}", person.address.domain())).await?;
        Ok(1)
    })
    .await?;
    embedded.shutdown().await;
    Ok(())
}

async fn measure(
    what: &str,
    mut call: impl AsyncFnMut(usize) -> Result<usize, pennypost_directory::DirectoryError>,
) -> Result<(), pennypost_directory::DirectoryError> {
    let (mut times, mut found) = (Vec::with_capacity(CALLS), 0);
    for number in 0..CALLS {
        let begun = Instant::now();
        found += call(number).await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| -> Duration { times[(CALLS - 1) * share / 1_000] };
    let found = found as f64 / CALLS as f64;
    println!("{what}: p50 {:?}, p99 {:?}, most {:?}; {found:.1} found", at(500), at(990), at(1_000));
    Ok(())
}

/// KB of memory that this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default().to_owned();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}
