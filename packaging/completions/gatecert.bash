# Completion of gatecert for bash 4.4 and later.

_gatecert() {
    local kind value rest
    COMPREPLY=()
    while IFS=$'\t' read -r kind value rest; do
        case $kind in
        file) compopt -o default ;;
        directory) compopt -o dirnames ;;
        plain) COMPREPLY+=("$value") ;;
        esac
    done < <(_GATECERT_COMPLETE=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -o nosort -F _gatecert gatecert
