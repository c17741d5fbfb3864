//! Custom types of attestation.

use std::collections::HashMap;

use runstone_model::fact::{CustomType, EntryIndex, OrganizationNo, TypeNo, TypeVersionRow};

use super::{Read, ReadError};
use crate::rows::custom_type::{self, SELECT_TYPE, VERSION_COLUMNS};
use crate::value::{DbError, Value};

impl Read {
    /// A custom type by name, archived or not.
    pub async fn custom_type_named(
        &mut self,
        organization: OrganizationNo,
        name: &str,
    ) -> Result<Option<CustomType>, ReadError> {
        custom_type::named(self.conn().await?, organization, name).await
    }

    /// Custom types that are not archived, by name.
    pub async fn custom_types(
        &mut self,
        organization: OrganizationNo,
    ) -> Result<Vec<CustomType>, ReadError> {
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "{SELECT_TYPE} WHERE organization = $1 AND archived_at IS NULL ORDER BY name"
                ),
                &[organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        rows.iter().map(custom_type::custom_type).collect()
    }

    /// The versions of each of these types, newest first.
    pub async fn type_versions(
        &mut self,
        organization: OrganizationNo,
        types: &[TypeNo],
    ) -> Result<HashMap<TypeNo, Vec<TypeVersionRow>>, ReadError> {
        let wanted = types.iter().map(|no| i64::from(no.0)).collect();
        let rows = self
            .conn()
            .await?
            .query(
                &format!(
                    "SELECT {VERSION_COLUMNS} FROM ID_TABLE($1) CROSS JOIN type_versions v WHERE v.organization = $2 AND v.custom_type = i.value ORDER BY v.custom_type, v.version DESC"
                ),
                &[Value::Ints(wanted), organization.0.into()],
            )
            .await?;
        self.bound(rows.len())?;
        let mut found: HashMap<TypeNo, Vec<TypeVersionRow>> = HashMap::new();
        for row in &rows {
            let version = custom_type::version(row)?;
            found.entry(version.of).or_default().push(version);
        }
        Ok(found)
    }

    /// One version of a type.
    pub async fn type_version(
        &mut self,
        organization: OrganizationNo,
        of: TypeNo,
        version: u32,
    ) -> Result<Option<TypeVersionRow>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!(
                    "SELECT {VERSION_COLUMNS} FROM type_versions v WHERE v.organization = $1 AND v.custom_type = $2 AND v.version = $3"
                ),
                &[organization.0.into(), of.0.into(), version.into()],
            )
            .await?
            .map(|row| custom_type::version(&row))
            .transpose()
    }

    /// What versions demand, as JSON, by the entries that made them, set-wise.
    pub async fn definitions(
        &mut self,
        organization: OrganizationNo,
        entries: &[EntryIndex],
    ) -> Result<HashMap<EntryIndex, String>, ReadError> {
        let places: Vec<(EntryIndex, u32)> = entries.iter().map(|entry| (*entry, 0)).collect();
        self.bodies_at(organization, &places, false)
            .await?
            .into_iter()
            .map(|((entry, _), bytes)| {
                let json = String::from_utf8(bytes)
                    .map_err(|_| DbError::Corrupt("a definition".to_owned()))?;
                Ok((entry, json))
            })
            .collect()
    }
}
