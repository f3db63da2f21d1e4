"""The scripts that make bash, zsh and fish complete gatecert's commands; see ``completion``.

They are also in packaging/completions, under the names that the shells look for.
"""

from __future__ import annotations

from typing import Final

BASH: Final = r"""# Completion of gatecert for bash 4.4 and later.

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
"""

ZSH: Final = r"""#compdef gatecert
# Completion of gatecert for zsh.

_gatecert() {
    local kind value help
    local -a found
    [[ $PREFIX == --*=* ]] && compset -P '*='
    while IFS=$'\t' read -r kind value help; do
        case $kind in
        file) _files && return ;;
        directory) _files -/ && return ;;
        plain) found+=("${value//:/\\:}${help:+:$help}") ;;
        esac
    done < <(_GATECERT_COMPLETE=zsh $words[1] "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    _describe -V gatecert found
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _gatecert "$@"
else
    compdef _gatecert gatecert
fi
"""

FISH: Final = r"""# Completion of gatecert for fish.

function __gatecert_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l option (string match -r -- '^--[^=]*=' $current)
    set -l value (string replace -r -- '^--[^=]*=' '' $current)
    set -l program $words[1]
    set -e words[1]
    for line in (env _GATECERT_COMPLETE=fish $program $words $current 2>/dev/null)
        set -l part (string split -m 2 \t -- $line)
        switch $part[1]
            case file
                for path in (__fish_complete_path $value)
                    echo "$option$path"
                end
            case directory
                for path in (__fish_complete_directories $value)
                    echo "$option$path"
                end
            case plain
                printf '%s\t%s\n' "$option$part[2]" "$part[3]"
        end
    end
end

complete --command gatecert --no-files --arguments '(__gatecert_complete)'
"""

SCRIPTS: Final = {"bash": BASH, "zsh": ZSH, "fish": FISH}
FILES: Final = {"bash": "gatecert.bash", "zsh": "_gatecert", "fish": "gatecert.fish"}
