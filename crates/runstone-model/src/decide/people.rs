//! Users, service accounts, roles and keys.

use super::{Deciding, Stop};
use crate::command::{NewKey, Refusal, Reply};
use crate::event::{Event, Subject, Verifier};
use crate::fact::{AccountNo, Principal, SERVER, User, UserNo};
use crate::role::Role;

impl Deciding<'_> {
    fn user(&self, name: &str) -> Result<UserNo, Stop> {
        self.view.user_named(name)?.ok_or_else(|| {
            Refusal::UserMissing {
                name: name.to_owned(),
            }
            .into()
        })
    }

    fn key_exists(&self, key: &NewKey, principal: Principal, owner: &str) -> Result<bool, Stop> {
        match self.view.key(key.verifier)? {
            None => Ok(false),
            Some(known) if known.principal == principal => Ok(true),
            Some(_) => Err(Refusal::KeyInUse {
                owner: owner.to_owned(),
            }
            .into()),
        }
    }

    fn verifier(&mut self, key: &NewKey) -> Verifier {
        Verifier {
            verifier: Some(key.verifier),
            salt: self.salt(),
        }
    }

    pub(super) fn put_user(&mut self, name: &str, email: &str) -> Result<Reply, Stop> {
        let Some(no) = self.view.user_named(name)? else {
            if User::is_erased_name(name) {
                return Err(Refusal::NameReserved {
                    name: name.to_owned(),
                }
                .into());
            }
            let no = UserNo(self.view.counters(SERVER)?.users + 1);
            let (name, email) = (self.text(name), self.text(email));
            self.append_new(Subject::User(no), Event::UserCreatedV2 { no, name, email });
            return Ok(Reply::Created);
        };
        let known = self.view.user(no)?.ok_or(Refusal::Forbidden)?;
        if known.email == email {
            return Ok(Reply::Unchanged);
        }
        let email = self.text(email);
        self.append(Subject::User(no), Event::UserChangedV2 { no, email })?;
        Ok(Reply::Changed)
    }

    pub(super) fn put_role(&mut self, user: &str, role: Role) -> Result<Reply, Stop> {
        let no = self.user(user)?;
        if self.view.membership(self.organization, no)? == Some(role) {
            return Ok(Reply::Unchanged);
        }
        self.append(Subject::User(no), Event::RoleGranted { user: no, role })?;
        Ok(Reply::Changed)
    }

    pub(super) fn put_user_key(&mut self, user: &str, key: &NewKey) -> Result<Reply, Stop> {
        let no = self.user(user)?;
        if self.key_exists(key, Principal::User(no), user)? {
            return Ok(Reply::Unchanged);
        }
        let (verifier, description) = (self.verifier(key), self.text(&key.description));
        self.append(
            Subject::User(no),
            Event::UserKeyCreatedV2 {
                user: no,
                key: key.id.clone(),
                expires_at: key.expires_at,
                verifier,
                description,
            },
        )?;
        Ok(Reply::Created)
    }

    pub(super) fn put_service_account(
        &mut self,
        name: &str,
        role: Role,
        description: &str,
    ) -> Result<Reply, Stop> {
        let Some(no) = self.view.account_named(self.organization, name)? else {
            let counters = self.view.counters(self.organization)?;
            let no = AccountNo(counters.accounts + 1);
            let salt = self.salt();
            self.append_new(
                Subject::Account(no),
                Event::ServiceAccountCreated {
                    no,
                    name: name.to_owned(),
                    role,
                    description: description.to_owned(),
                    salt,
                },
            );
            return Ok(Reply::Created);
        };
        let known = self
            .view
            .account(self.organization, no)?
            .ok_or(Refusal::Forbidden)?;
        if known.role == role && known.description == description {
            return Ok(Reply::Unchanged);
        }
        let salt = self.salt();
        self.append(
            Subject::Account(no),
            Event::ServiceAccountChanged {
                no,
                role,
                description: description.to_owned(),
                salt,
            },
        )?;
        Ok(Reply::Changed)
    }

    pub(super) fn put_service_account_key(
        &mut self,
        account: &str,
        key: &NewKey,
    ) -> Result<Reply, Stop> {
        let no = self
            .view
            .account_named(self.organization, account)?
            .ok_or_else(|| Refusal::AccountMissing {
                name: account.to_owned(),
                organization: self.command.organization.clone(),
            })?;
        let principal = Principal::Account(self.organization, no);
        if self.key_exists(key, principal, account)? {
            return Ok(Reply::Unchanged);
        }
        let (verifier, description) = (self.verifier(key), self.text(&key.description));
        self.append(
            Subject::Account(no),
            Event::ServiceAccountKeyCreatedV2 {
                account: no,
                key: key.id.clone(),
                expires_at: key.expires_at,
                verifier,
                description,
            },
        )?;
        Ok(Reply::Created)
    }
}
