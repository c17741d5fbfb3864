//! Who a key belongs to, and what that principal may do where.

use std::sync::Arc;

use runstone_model::fact::{ApiKey, Organization, OrganizationNo, Principal};
use runstone_model::id::Digest;
use runstone_model::role::Role;

use super::{Read, ReadError};
use crate::rows;
use crate::value::{DbError, Record as Row, Value};

/// Who a key belongs to, and what that principal may do in an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The key, usable or not.
    pub key: ApiKey,
    /// The organization.
    pub organization: Arc<Organization>,
    /// None: no part of it.
    pub role: Option<Role>,
}

const SELECT_ADMISSION: &str = "SELECT m.role, a.role, k.verifier, k.id, k.usr, k.organization, k.account, k.description, k.created_at, k.expires_at, k.revoked_at, o.no, o.id, o.name, o.kind, o.public, o.description, o.created_at, o.modified_at, o.closed_at, o.limits FROM api_keys k CROSS JOIN organizations o LEFT JOIN memberships m ON m.organization = o.no AND m.usr = k.usr LEFT JOIN accounts a ON a.organization = o.no AND a.organization = k.organization AND a.no = k.account WHERE k.verifier = $1 AND o.name = $2";

impl Read {
    /// A key by verifier, an organization by name and the role of the one in the other, by one
    /// statement; none unless there are both.
    pub async fn admission(
        &mut self,
        verifier: Digest,
        organization: &str,
    ) -> Result<Option<Admission>, ReadError> {
        let row = self
            .conn()
            .await?
            .query_one(
                SELECT_ADMISSION,
                &[verifier.as_bytes()[..].into(), organization.into()],
            )
            .await?;
        let Some(mut role) = row else {
            return Ok(None);
        };
        let mut key = Row(role.0.split_off(2));
        let organization = Row(key.0.split_off(9));
        let role = role.0.iter().find_map(|role| match role {
            Value::Text(role) => Some(parse_role(role)),
            _ => None,
        });
        Ok(Some(Admission {
            key: rows::api_key(&key)?,
            organization: Arc::new(rows::organization(&organization)?),
            role: role.transpose()?,
        }))
    }

    /// An organization by name.
    pub async fn organization_named(
        &mut self,
        name: &str,
    ) -> Result<Option<Arc<Organization>>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!("{} WHERE name = $1", rows::SELECT_ORGANIZATION),
                &[name.into()],
            )
            .await?
            .map(|row| rows::organization(&row).map(Arc::new))
            .transpose()
    }

    /// An organization by number.
    pub async fn organization(
        &mut self,
        no: OrganizationNo,
    ) -> Result<Option<Organization>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!("{} WHERE no = $1", rows::SELECT_ORGANIZATION),
                &[no.0.into()],
            )
            .await?
            .map(|row| rows::organization(&row))
            .transpose()
    }

    /// All organizations, by number.
    pub async fn organizations(&mut self) -> Result<Vec<Organization>, ReadError> {
        self.conn()
            .await?
            .query(&format!("{} ORDER BY no", rows::SELECT_ORGANIZATION), &[])
            .await?
            .iter()
            .map(rows::organization)
            .collect()
    }

    /// A key by verifier.
    pub async fn key(&mut self, verifier: Digest) -> Result<Option<ApiKey>, ReadError> {
        self.conn()
            .await?
            .query_one(
                &format!("{} WHERE verifier = $1", rows::SELECT_API_KEY),
                &[verifier.as_bytes()[..].into()],
            )
            .await?
            .map(|row| rows::api_key(&row))
            .transpose()
    }

    /// The role of a principal in an organization.
    pub async fn role(
        &mut self,
        organization: OrganizationNo,
        principal: Principal,
    ) -> Result<Option<Role>, ReadError> {
        let row = match principal {
            Principal::User(user) => {
                self.conn()
                    .await?
                    .query_one(
                        "SELECT role FROM memberships WHERE organization = $1 AND usr = $2",
                        &[organization.0.into(), user.0.into()],
                    )
                    .await?
            }
            Principal::Account(home, account) if home == organization => {
                self.conn()
                    .await?
                    .query_one(
                        "SELECT role FROM accounts WHERE organization = $1 AND no = $2",
                        &[organization.0.into(), account.0.into()],
                    )
                    .await?
            }
            Principal::Account(..) => None,
        };
        row.map(|row| parse_role(row.text(0)?)).transpose()
    }
}

fn parse_role(text: &str) -> Result<Role, DbError> {
    text.parse()
        .map_err(|_| DbError::Corrupt("a role".to_owned()))
}
