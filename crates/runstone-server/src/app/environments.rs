//! Use cases that change environments: each builds one command.

use runstone_model::command::{Action, Caller, PatchEnvironment, PutEnvironment};
use runstone_model::fact::Organization;
use runstone_model::read;

use super::State;
use super::error::AppError;

impl State {
    /// Creates an environment or puts it again (section 3.1).
    pub(crate) async fn put_environment(
        &self,
        caller: Caller,
        organization: &Organization,
        body: read::PutEnvironment,
    ) -> Result<(), AppError> {
        let action = Action::PutEnvironment(PutEnvironment {
            name: body.name.as_str().to_owned(),
            kind: body.kind,
            description: body.description,
            include_scaling: body.include_scaling,
            require_provenance: body.require_provenance,
            included_environments: body.included_environments,
            policies: body.policies,
        });
        self.submit(caller, &organization.name, action).await?;
        Ok(())
    }

    /// Changes what is given (section 3.2).
    pub(crate) async fn patch_environment(
        &self,
        caller: Caller,
        organization: &Organization,
        environment: &str,
        body: read::PatchEnvironment,
    ) -> Result<(), AppError> {
        let action = Action::PatchEnvironment(PatchEnvironment {
            environment: environment.to_owned(),
            description: body.description,
            include_scaling: body.include_scaling,
            included_environments: body.included_environments,
            policies: body.policies,
        });
        self.submit(caller, &organization.name, action).await?;
        Ok(())
    }

    /// Hides an environment (section 3.5).
    pub(crate) async fn archive_environment(
        &self,
        caller: Caller,
        organization: &Organization,
        environment: &str,
    ) -> Result<(), AppError> {
        let action = Action::ArchiveEnvironment {
            environment: environment.to_owned(),
        };
        self.submit(caller, &organization.name, action).await?;
        Ok(())
    }

    /// Gives an environment another name (section 3.6).
    pub(crate) async fn rename_environment(
        &self,
        caller: Caller,
        organization: &Organization,
        environment: &str,
        new_name: &str,
    ) -> Result<(), AppError> {
        let action = Action::RenameEnvironment {
            environment: environment.to_owned(),
            new_name: new_name.to_owned(),
        };
        self.submit(caller, &organization.name, action).await?;
        Ok(())
    }

    /// Adds a physical environment to a logical one (section 3.7).
    pub(crate) async fn join_environment(
        &self,
        caller: Caller,
        organization: &Organization,
        logical: &str,
        physical: String,
    ) -> Result<(), AppError> {
        let action = Action::JoinEnvironment {
            logical: logical.to_owned(),
            physical,
        };
        self.submit(caller, &organization.name, action).await?;
        Ok(())
    }

    /// Sets and removes tags (section 15.1).
    pub(crate) async fn tag_environment(
        &self,
        caller: Caller,
        organization: &Organization,
        environment: &str,
        tags: read::PatchTags,
    ) -> Result<(), AppError> {
        let action = Action::TagEnvironment {
            environment: environment.to_owned(),
            set: tags
                .set
                .into_iter()
                .map(|(key, value)| (key.as_str().to_owned(), value))
                .collect(),
            remove: tags.remove,
        };
        self.submit(caller, &organization.name, action).await?;
        Ok(())
    }
}
