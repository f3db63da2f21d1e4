# Functions for scripts that take packages of Debian testing without changing the system: apt works in a
# private directory, with the mirror that this machine's own apt sources name. Source it after setting
# apt_directory, and defining fail.

suite=forky

# The mirror of this machine's suite: "main", neither updates nor security.
mirror() {
    local codename
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v codename="$codename" '$2 == "main" && $1 == codename { print $3; exit }'
}

private_apt_get() {
    local options=(
        -o "Dir::Etc::sourcelist=/dev/null"
        -o "Dir::Etc::sourceparts=$apt_directory/sources"
        -o "Dir::Etc::preferences=/dev/null"
        -o "Dir::Etc::preferencesparts=/dev/null"
        -o "Dir::State=$apt_directory/state"
        -o "Dir::State::status=$apt_directory/status"
        -o "Dir::Cache=$apt_directory/cache"
        -o "Acquire::Languages=none"
        # Whatever the machine allows for its own sources: only what Debian signed.
        -o "Acquire::AllowInsecureRepositories=false"
        -o "Acquire::AllowWeakRepositories=false"
        -o "Acquire::AllowDowngradeToInsecureRepositories=false"
        -o "APT::Get::AllowUnauthenticated=false"
        -o "Acquire::Retries=3"
        -o "APT::Sandbox::User=" # the private directory may be unreadable for _apt
    )
    if ! apt-get --quiet "${options[@]}" "$@" >"$apt_directory/log" 2>&1; then
        fail "apt-get $1 failed: $(grep -m 1 '^E:' "$apt_directory/log" || tail -n 1 "$apt_directory/log")" \
            "(full log: $apt_directory/log)"
    fi
}

write_sources() {
    local uri=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -r $keyring ]] || fail "Debian's keys not found: install debian-archive-keyring"
    mkdir -p "$apt_directory"/{sources,state/lists/partial,cache/archives/partial,packages,unpacked}
    : >"$apt_directory/status"
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nTargets: Packages\nSigned-By: %s\n' \
        "$uri" "$suite" "$keyring" >"$apt_directory/sources/$suite.sources"
}

# Prepare the private directory and fetch the suite's lists.
prepare_apt() {
    local uri
    command -v apt-get >/dev/null || fail "apt-get not found: this needs Debian 12 or newer"
    uri=$(mirror)
    [[ -n $uri ]] || fail "no Debian mirror in this machine's apt sources (deb … main)"
    rm -rf "$apt_directory"
    write_sources "$uri"
    private_apt_get update
}
