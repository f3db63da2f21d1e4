# Completion of gatecert for fish.

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
