//! Use cases that change controls: each builds one command.

use runstone_model::command::{Action, Caller, ControlAction};
use runstone_model::control::{ChangeControl, ControlTexts};
use runstone_model::fact::Organization;
use runstone_model::read;

use super::State;
use super::error::AppError;

impl State {
    async fn submit_control(
        &self,
        caller: Caller,
        organization: &Organization,
        action: ControlAction,
    ) -> Result<(), AppError> {
        self.submit(caller, &organization.name, Action::Control(action))
            .await?;
        Ok(())
    }

    /// Makes a control (`api-organisation.md` section 8).
    pub(crate) async fn create_control(
        &self,
        caller: Caller,
        organization: &Organization,
        identifier: &str,
        texts: ControlTexts,
    ) -> Result<(), AppError> {
        let action = ControlAction::Create {
            identifier: identifier.to_owned(),
            texts,
        };
        self.submit_control(caller, organization, action).await
    }

    /// Makes a new version of a control.
    pub(crate) async fn change_control(
        &self,
        caller: Caller,
        organization: &Organization,
        identifier: &str,
        change: ChangeControl,
    ) -> Result<(), AppError> {
        let action = ControlAction::Change {
            identifier: identifier.to_owned(),
            change,
        };
        self.submit_control(caller, organization, action).await
    }

    /// Hides a control, or shows it again.
    pub(crate) async fn archive_control(
        &self,
        caller: Caller,
        organization: &Organization,
        identifier: &str,
        archived: bool,
    ) -> Result<(), AppError> {
        let identifier = identifier.to_owned();
        let action = if archived {
            ControlAction::Archive { identifier }
        } else {
            ControlAction::Restore { identifier }
        };
        self.submit_control(caller, organization, action).await
    }

    /// Sets and removes tags of a control.
    pub(crate) async fn tag_control(
        &self,
        caller: Caller,
        organization: &Organization,
        identifier: &str,
        tags: read::PatchTags,
    ) -> Result<(), AppError> {
        let (set, remove) = super::flows::changes_of(tags);
        let action = ControlAction::Tag {
            identifier: identifier.to_owned(),
            set,
            remove,
        };
        self.submit_control(caller, organization, action).await
    }
}
