//! Custom types of attestation.

use std::sync::Arc;

use super::{Deciding, Stop};
use crate::command::{Refusal, Reply, TypeAction};
use crate::event::{Event, Subject, TypeEvent};
use crate::fact::{CustomType, TypeNo};
use crate::view::Numbered;

impl Deciding<'_> {
    pub(super) fn type_action(&mut self, action: &TypeAction) -> Result<Reply, Stop> {
        match action {
            TypeAction::Put {
                name,
                description,
                comment,
                definition,
            } => self.put_type(name, description.as_deref(), comment.as_deref(), definition),
            TypeAction::Archive { name } => {
                let known = self.type_named(name)?;
                if known.archived_at.is_some() {
                    return Ok(Reply::Unchanged);
                }
                self.append(
                    Subject::Type(known.no),
                    Event::Type(TypeEvent::Archived { no: known.no }),
                )?;
                Ok(Reply::Changed)
            }
        }
    }

    /// A type by name, archived or not.
    fn type_named(&self, name: &str) -> Result<Arc<CustomType>, Stop> {
        Ok(self.known_type(name)?.ok_or_else(|| Refusal::TypeMissing {
            name: name.to_owned(),
            organization: self.command.organization.clone(),
        })?)
    }

    fn known_type(&self, name: &str) -> Result<Option<Arc<CustomType>>, Stop> {
        Ok(match self.view.type_named(self.organization, name)? {
            Some(no) => self.view.custom_type(self.organization, no)?,
            None => None,
        })
    }

    fn put_type(
        &mut self,
        name: &str,
        description: Option<&str>,
        comment: Option<&str>,
        definition: &Arc<str>,
    ) -> Result<Reply, Stop> {
        let known = self.known_type(name)?;
        let (no, version) = match &known {
            Some(known) => (known.no, known.versions + 1),
            None => (TypeNo(self.next(Numbered::Type)?), 1),
        };
        let subject = Subject::Type(no);
        if known
            .as_ref()
            .is_some_and(|known| known.archived_at.is_some())
        {
            self.append(subject, Event::Type(TypeEvent::Restored { no }))?;
        }
        let before = known
            .as_ref()
            .and_then(|known| known.description.as_deref())
            .unwrap_or_default();
        let description = description
            .filter(|text| *text != before)
            .map(|text| self.text(text));
        let comment = comment
            .filter(|text| !text.is_empty())
            .map(|text| self.text(text));
        let event = Event::Type(TypeEvent::Versioned {
            no,
            name: name.to_owned(),
            version,
            definition: Arc::clone(definition),
            description,
            comment,
        });
        match known {
            Some(_) => self.append(subject, event)?,
            None => self.append_new(subject, event),
        }
        // Also another version of what was there is something new.
        Ok(Reply::Created)
    }

    /// The version that judges attestations of a type from now on, if it is the one that did.
    pub(super) fn judged_by(&self, name: &str, version: Option<u32>) -> Result<u32, Stop> {
        let known = self.type_named(name)?;
        if known.archived_at.is_some() {
            return Err(Refusal::TypeMissing {
                name: name.to_owned(),
                organization: self.command.organization.clone(),
            }
            .into());
        }
        if version != Some(known.versions) {
            return Err(Refusal::TypeChangedMeanwhile {
                name: name.to_owned(),
            }
            .into());
        }
        Ok(known.versions)
    }
}
