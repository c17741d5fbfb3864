//! Controls.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::flow::tagged;
use super::{Deciding, Stop};
use crate::command::{ControlAction, Refusal, Reply};
use crate::control::ControlTexts;
use crate::event::{Content, ControlEvent, Event, Subject};
use crate::fact::{Control, ControlNo};
use crate::view::Numbered;

impl Deciding<'_> {
    pub(super) fn control_action(&mut self, action: &ControlAction) -> Result<Reply, Stop> {
        match action {
            ControlAction::Create { identifier, texts } => self.create_control(identifier, texts),
            ControlAction::Change { identifier, change } => {
                let known = self.control(identifier)?;
                let texts = self.control_texts(&known.texts.changed(change));
                let (no, version) = (known.no, known.version + 1);
                self.append_control(ControlEvent::Changed { no, version, texts }, no)?;
                Ok(Reply::Changed)
            }
            ControlAction::Archive { identifier } => {
                let known = self.control(identifier)?;
                if known.archived_at.is_some() {
                    return Ok(Reply::Unchanged);
                }
                self.append_control(ControlEvent::Archived { no: known.no }, known.no)?;
                Ok(Reply::Changed)
            }
            ControlAction::Restore { identifier } => {
                let known = self.control(identifier)?;
                if known.archived_at.is_none() {
                    return Ok(Reply::Unchanged);
                }
                self.append_control(ControlEvent::Restored { no: known.no }, known.no)?;
                Ok(Reply::Changed)
            }
            ControlAction::Tag {
                identifier,
                set,
                remove,
            } => self.tag_control(identifier, set, remove),
        }
    }

    fn known_control(&self, identifier: &str) -> Result<Option<Arc<Control>>, Stop> {
        let named = self.view.control_named(self.organization, identifier)?;
        Ok(match named {
            Some(no) => self.view.control(self.organization, no)?,
            None => None,
        })
    }

    /// A control, archived or not.
    fn control(&self, identifier: &str) -> Result<Arc<Control>, Stop> {
        Ok(self
            .known_control(identifier)?
            .ok_or_else(|| Refusal::ControlMissing {
                identifier: identifier.to_owned(),
                organization: self.command.organization.clone(),
            })?)
    }

    /// The version that a decision about a control is recorded with; none if there is no such
    /// control.
    pub(super) fn control_version(&self, identifier: &str) -> Result<Option<u32>, Stop> {
        Ok(self.known_control(identifier)?.map(|known| known.version))
    }

    fn control_texts(&mut self, texts: &ControlTexts) -> Content {
        Content {
            json: Some(texts.to_json().into()),
            salt: self.salt(),
        }
    }

    fn append_control(&mut self, event: ControlEvent, no: ControlNo) -> Result<(), Stop> {
        self.append(Subject::Control(no), Event::Control(event))
    }

    fn create_control(&mut self, identifier: &str, texts: &ControlTexts) -> Result<Reply, Stop> {
        if self.known_control(identifier)?.is_some() {
            return Err(Refusal::ControlExists {
                identifier: identifier.to_owned(),
                organization: self.command.organization.clone(),
            }
            .into());
        }
        let no = ControlNo(self.next(Numbered::Control)?);
        let texts = self.control_texts(texts);
        self.append_new(
            Subject::Control(no),
            Event::Control(ControlEvent::Created {
                no,
                identifier: identifier.to_owned(),
                texts,
            }),
        );
        Ok(Reply::Created)
    }

    fn tag_control(
        &mut self,
        identifier: &str,
        set: &BTreeMap<String, String>,
        remove: &[String],
    ) -> Result<Reply, Stop> {
        let known = self.control(identifier)?;
        let Some((set, removed)) = tagged(&known.tags, set, remove) else {
            return Ok(Reply::Unchanged);
        };
        let (no, salt) = (known.no, self.salt());
        self.append_control(
            ControlEvent::Tagged {
                no,
                set,
                removed,
                salt,
            },
            no,
        )?;
        Ok(Reply::Changed)
    }
}
