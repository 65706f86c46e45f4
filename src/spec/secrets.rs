//! Names of environment variables whose values are secrets.

/// Variables whose values are secrets.
const SECRETS: &[&str] = &[
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITLAB_TOKEN",
    "CI_JOB_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "NPM_TOKEN",
    "NODE_AUTH_TOKEN",
    "CARGO_REGISTRY_TOKEN",
    "DOCKER_AUTH_CONFIG",
    "DOCKER_PASSWORD",
    "KUBECONFIG",
    "VAULT_TOKEN",
    "PGPASSWORD",
    "MYSQL_PWD",
    "SSHPASS",
    "DATABASE_URL",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "TWINE_PASSWORD",
    "PYPI_TOKEN",
    "SLACK_TOKEN",
    "HF_TOKEN",
    "DIGITALOCEAN_TOKEN",
    "HCLOUD_TOKEN",
    "TF_TOKEN_app_terraform_io",
    "SENTRY_AUTH_TOKEN",
];

/// Ends of the names of others, in capitals.
const ENDINGS: &[&str] = &[
    "TOKEN",
    "SECRET",
    "_KEY",
    "APIKEY",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "_PASS",
    "_PWD",
    "_PAT",
    "CREDENTIALS",
    "_DSN",
];

/// Whether a variable's value is a secret, judged by its name.
pub fn is_secret_variable(name: &str) -> bool {
    SECRETS.contains(&name) || ENDINGS.iter().any(|ending| name.to_ascii_uppercase().ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::is_secret_variable;

    #[test]
    fn secrets_are_known_by_name_or_ending() {
        for secret in ["GITHUB_TOKEN", "MY_API_KEY", "STRIPE_SECRET", "db_password", "npm_config__authToken"] {
            assert!(is_secret_variable(secret), "{secret}");
        }
        for plain in ["LANG", "XDG_SESSION_TYPE", "RUSTUP_TOOLCHAIN", "SOURCE_DATE_EPOCH", "PATH", "CARGO_PKG_NAME"] {
            assert!(!is_secret_variable(plain), "{plain}");
        }
    }
}
