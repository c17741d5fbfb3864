//! Use cases that change flows, and what is reported to their trails: each builds one command.

use std::collections::BTreeMap;
use std::sync::Arc;

use runstone_model::command::{
    Action, Attest, Caller, FlowAction, GivenTemplate, PutFlow, PutTrail, Refusal, Reply,
    ReportArtifact,
};
use runstone_model::fact::{EntryIndex, Member, Organization, Visibility};
use runstone_model::provenance::CreateFlow;
use runstone_model::read;

use super::State;
use super::error::AppError;

/// Begins of one trail at once decide against each other's texts so often.
const TELLINGS_MAX: u32 = 5;

/// What a trail was told so far: the entry that told it last, and its texts.
pub(crate) type Told = (EntryIndex, BTreeMap<Member, Arc<str>>);

impl State {
    async fn submit_flow(
        &self,
        caller: Caller,
        organization: &Organization,
        action: FlowAction,
    ) -> Result<Reply, AppError> {
        let done = self
            .submit(caller, &organization.name, Action::Flow(action))
            .await?;
        Ok(done.reply)
    }

    /// Creates a flow or changes it (section 3.1).
    pub(crate) async fn put_flow(
        &self,
        caller: Caller,
        organization: &Organization,
        flow: CreateFlow,
        template: Option<GivenTemplate>,
    ) -> Result<Reply, AppError> {
        let put = PutFlow {
            name: flow.name.as_str().to_owned(),
            visibility: flow.visibility.as_deref().and_then(Visibility::parse),
            description: flow.description,
            template,
        };
        self.submit_flow(caller, organization, FlowAction::Put(put))
            .await
    }

    /// Hides a flow (section 3.5).
    pub(crate) async fn archive_flow(
        &self,
        caller: Caller,
        organization: &Organization,
        flow: &str,
    ) -> Result<Reply, AppError> {
        let flow = flow.to_owned();
        self.submit_flow(caller, organization, FlowAction::Archive { flow })
            .await
    }

    /// Gives a flow another name (section 3.6).
    pub(crate) async fn rename_flow(
        &self,
        caller: Caller,
        organization: &Organization,
        flow: &str,
        new_name: &str,
    ) -> Result<Reply, AppError> {
        let action = FlowAction::Rename {
            flow: flow.to_owned(),
            new_name: new_name.to_owned(),
        };
        self.submit_flow(caller, organization, action).await
    }

    /// Sets and removes tags of a flow (section 3.7).
    pub(crate) async fn tag_flow(
        &self,
        caller: Caller,
        organization: &Organization,
        flow: &str,
        tags: read::PatchTags,
    ) -> Result<(), AppError> {
        let (set, remove) = changes_of(tags);
        let action = FlowAction::Tag {
            flow: flow.to_owned(),
            set,
            remove,
        };
        self.submit_flow(caller, organization, action).await?;
        Ok(())
    }

    /// Sets and removes tags of a repository.
    pub(crate) async fn tag_repo(
        &self,
        caller: Caller,
        organization: &Organization,
        repo: &str,
        tags: read::PatchTags,
    ) -> Result<(), AppError> {
        let (set, remove) = changes_of(tags);
        let action = FlowAction::TagRepo {
            repo: repo.to_owned(),
            set,
            remove,
        };
        self.submit_flow(caller, organization, action).await?;
        Ok(())
    }

    /// Begins a trail or tells more of it (section 5.1). What is told otherwise than before is
    /// found out here, because the texts stand in bodies; the writer looks whether it still holds.
    pub(crate) async fn put_trail(
        &self,
        caller: Caller,
        organization: &Organization,
        mut put: PutTrail,
    ) -> Result<Reply, AppError> {
        for attempt in 1.. {
            put.compared =
                self.told(organization, &put.flow, &put.name)
                    .await?
                    .map(|(told_by, told)| {
                        let changed = put
                            .members
                            .iter()
                            .filter(|(member, json)| told.get(member) != Some(json))
                            .map(|(member, _)| *member)
                            .collect();
                        (told_by, changed)
                    });
            let action = FlowAction::PutTrail(put.clone());
            match self.submit_flow(caller.clone(), organization, action).await {
                Err(AppError::Refused(Refusal::TrailToldMeanwhile { .. }))
                    if attempt < TELLINGS_MAX => {}
                answer => return answer,
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn told(
        &self,
        organization: &Organization,
        flow: &str,
        trail: &str,
    ) -> Result<Option<Told>, AppError> {
        let mut read = self.read().await?;
        let Some(flow) = read.flow_named(organization.no, flow).await? else {
            return Ok(None);
        };
        let Some(trail) = read.trail_named(organization.no, flow.no, trail).await? else {
            return Ok(None);
        };
        let places: Vec<(EntryIndex, u32)> = trail.members.values().copied().collect();
        let contents = read.contents(organization.no, &places).await?;
        let told = trail
            .members
            .iter()
            .filter_map(|(member, place)| Some((*member, contents.get(place)?.json.clone()?)))
            .collect();
        Ok(Some((trail.told_by, told)))
    }

    /// Reports an artifact (section 7.1).
    pub(crate) async fn report_artifact(
        &self,
        caller: Caller,
        organization: &Organization,
        report: ReportArtifact,
    ) -> Result<Reply, AppError> {
        self.submit_flow(caller, organization, FlowAction::ReportArtifact(report))
            .await
    }

    /// Attests something (section 9).
    pub(crate) async fn attest(
        &self,
        caller: Caller,
        organization: &Organization,
        attest: Attest,
    ) -> Result<Reply, AppError> {
        self.submit_flow(caller, organization, FlowAction::Attest(Box::new(attest)))
            .await
    }
}

pub(super) fn changes_of(tags: read::PatchTags) -> (BTreeMap<String, String>, Vec<String>) {
    let set = tags
        .set
        .into_iter()
        .map(|(key, value)| (key.as_str().to_owned(), value))
        .collect();
    (set, tags.remove)
}
