//! Keys that lie about the process: ENV_VAR and SYS_PROP.

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;

use crate::credentials::error::{CredentialsError, CredentialsErrorKind};
use crate::credentials::lookup::Lookup;
use crate::system_properties::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, SECRET_KEY, SESSION_TOKEN};

/// Reads the keys on every call, so that a changed one is seen at once.
#[derive(Clone, Debug)]
pub(super) struct KeysProvider {
    provider: &'static str,
    lookup: Lookup,
    id: &'static [&'static str],
    secret: &'static [&'static str],
    token: &'static str,
}

impl KeysProvider {
    /// ENV_VAR, with the names of version 1 of the SDK for Java after those of version 2.
    pub(super) fn environment(lookup: Lookup) -> Self {
        Self {
            provider: "ENV_VAR",
            lookup,
            id: &["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"],
            secret: &["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"],
            token: "AWS_SESSION_TOKEN",
        }
    }

    /// SYS_PROP.
    pub(super) fn system_properties(lookup: Lookup) -> Self {
        Self {
            provider: "SYS_PROP",
            lookup,
            id: &[ACCESS_KEY_ID],
            secret: &[SECRET_ACCESS_KEY, SECRET_KEY],
            token: SESSION_TOKEN,
        }
    }

    fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let error = |kind, message: String| CredentialsError::new(self.provider, kind, message);
        match (self.lookup.first(self.id), self.lookup.first(self.secret)) {
            (Some(id), Some(secret)) => {
                Ok(Credentials::new(id, secret, self.lookup.get(self.token), None, self.provider))
            }
            (None, None) => {
                let message = format!("{} and {} are not set", self.id[0], self.secret[0]);
                Err(error(CredentialsErrorKind::NotConfigured, message))
            }
            // Half of a pair is a slip: whatever a chain found after it would be somebody else.
            (id, _) => {
                let (present, absent) =
                    if id.is_some() { (self.id[0], self.secret[0]) } else { (self.secret[0], self.id[0]) };
                Err(error(CredentialsErrorKind::Invalid, format!("{present} is set, but {absent} is not")))
            }
        }
    }
}

impl ProvideCredentials for KeysProvider {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::ready(self.credentials().map_err(CredentialsError::into_sdk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(provider: &KeysProvider) -> Result<(String, String, Option<String>), String> {
        provider
            .credentials()
            .map(|keys| {
                let token = keys.session_token().map(str::to_owned);
                (keys.access_key_id().to_owned(), keys.secret_access_key().to_owned(), token)
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_gives_keys_with_and_without_a_token() {
        let permanent = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_SESSION_TOKEN", " ")];
        let temporary =
            [("AWS_ACCESS_KEY_ID", " id\n"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_SESSION_TOKEN", "t")];
        let old = [("AWS_ACCESS_KEY", "id"), ("AWS_SECRET_KEY", "secret")];
        for (pairs, token) in
            [(Lookup::of(permanent), None), (Lookup::of(temporary), Some("t".to_owned())), (Lookup::of(old), None)]
        {
            assert_eq!(keys(&KeysProvider::environment(pairs)), Ok(("id".into(), "secret".into(), token)));
        }
    }

    #[test]
    fn the_newer_name_of_the_secret_property_wins() {
        let both = Lookup::of([("aws.accessKeyId", "id"), ("aws.secretKey", "old"), ("aws.secretAccessKey", "new")]);
        let old = Lookup::of([("aws.accessKeyId", "id"), ("aws.secretKey", "old"), ("aws.sessionToken", "t")]);
        assert_eq!(keys(&KeysProvider::system_properties(both)), Ok(("id".into(), "new".into(), None)));
        assert_eq!(keys(&KeysProvider::system_properties(old)), Ok(("id".into(), "old".into(), Some("t".into()))));
    }

    #[test]
    fn half_a_pair_is_not_the_same_as_none() {
        let provider = |lookup| KeysProvider::environment(lookup);
        for (lookup, kind, text) in [
            (
                Lookup::of([]),
                CredentialsErrorKind::NotConfigured,
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
            ),
            (
                Lookup::of([("AWS_ACCESS_KEY_ID", "canary")]),
                CredentialsErrorKind::Invalid,
                "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not",
            ),
            (
                Lookup::of([("AWS_SECRET_ACCESS_KEY", "canary")]),
                CredentialsErrorKind::Invalid,
                "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not",
            ),
        ] {
            let error = provider(lookup).credentials().unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(text) && !error.to_string().contains("canary"), "{error}");
        }
    }
}
