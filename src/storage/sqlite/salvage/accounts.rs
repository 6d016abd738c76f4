//! What became of damaged databases, as it is remembered in the one that took their place: every one of them for as long as
//! it lies where it was put, since readings may still come from there, and since what was lost is to be told.

use std::path::Path;

use sqlx::SqliteConnection;

use super::pages::Value;
use crate::{domain::store::Salvage, storage::StoreError};

/// The name under which the newest is remembered.
const NEWEST: &str = "salvage";
/// The name under which those before it are, in a list.
const EARLIER: &str = "earlier_salvages";

/// Those whose damaged databases lie where they were put, the newest first.
pub(in super::super) async fn remembered(
    connection: &mut SqliteConnection,
) -> Result<Vec<Salvage>, StoreError> {
    let mut salvages = Vec::new();
    for name in [NEWEST, EARLIER] {
        let told: Option<String> =
            sqlx::query_scalar("SELECT value FROM service_facts WHERE name = ?1")
                .bind(name)
                .fetch_optional(&mut *connection)
                .await?;
        salvages.extend(told.into_iter().flat_map(|told| understood(name, &told)));
    }
    salvages.retain(|salvage| Path::new(&salvage.set_aside).exists());
    Ok(salvages)
}

/// Writes down all that is to be remembered, the newest first.
pub(super) async fn remember(
    connection: &mut SqliteConnection,
    salvages: &[Salvage],
) -> Result<(), StoreError> {
    let Some((newest, earlier)) = salvages.split_first() else {
        return Ok(());
    };
    let facts = [
        (NEWEST, serde_json::to_string(newest)),
        (EARLIER, serde_json::to_string(earlier)),
    ];
    for (name, told) in facts {
        let told = told.map_err(|error| {
            StoreError::Failed(format!("a salvage cannot be written down: {error}"))
        })?;
        sqlx::query(
            "INSERT INTO service_facts (name, value) VALUES (?1, ?2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(told)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// What a remembered fact, found in a damaged database, says of those before it; none where the fact is another.
pub(super) fn told_by(fact: &[Value]) -> Option<Vec<Salvage>> {
    let [Value::Text(name), Value::Text(told), ..] = fact else {
        return None;
    };
    let name = std::str::from_utf8(name)
        .ok()
        .filter(|name| [NEWEST, EARLIER].contains(name))?;
    Some(understood(name, &String::from_utf8_lossy(told)))
}

/// One that may say less than is so: following it from there could take readings over a second time.
pub(super) fn doubted(salvage: Salvage) -> Salvage {
    Salvage {
        through: i64::MAX,
        later_is_unreadable: true,
        ..salvage
    }
}

/// The newest, and before it all that is known of earlier ones from anywhere, each as it stood last.
pub(super) fn merged(newest: Salvage, mut earlier: Vec<Salvage>) -> Vec<Salvage> {
    // Whatever had its name before was gone when it was given that.
    earlier.retain(|salvage| {
        salvage.set_aside != newest.set_aside && Path::new(&salvage.set_aside).exists()
    });
    earlier.sort_by(|one, other| {
        let place = |salvage: &Salvage| (salvage.at, salvage.set_aside.clone(), salvage.through);
        place(other).cmp(&place(one))
    });
    earlier.dedup_by(|one, other| one.set_aside == other.set_aside);
    [vec![newest], earlier].concat()
}

fn understood(name: &str, told: &str) -> Vec<Salvage> {
    let understood = if name == NEWEST {
        serde_json::from_str(told).map(|salvage| vec![salvage])
    } else {
        serde_json::from_str(told)
    };
    understood.unwrap_or_else(|error| {
        tracing::error!(%error, name, "what is remembered of a damaged database cannot be understood");
        Vec::new()
    })
}
