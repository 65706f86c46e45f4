# What the definition of the flags does not know: names of what there is, and the program with its arguments.
_sbx_names() {
    case "$1" in
@LISTS@
    esac 2>/dev/null
}

# Completes the program, whose word this is, and its arguments.
_sbx_program() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        COMPREPLY=($(compgen -c -- "$2"))
    else
        COMPREPLY=($(compgen -f -- "$2"))
    fi
}

# Offers the lines of standard input that begin with a word, of which bash replaces what is behind the last colon.
_sbx_offer() {
    local value="$1" before="" name
    if [[ "$COMP_WORDBREAKS" == *:* && "$value" == *:* ]]; then
        before="${value%"${value##*:}"}"
    fi
    while IFS= read -r name; do
        if [[ -n "$name" && "$name" == "$value"* ]]; then
            COMPREPLY+=("${name#"$before"}")
        fi
    done
    if [[ ${#COMPREPLY[@]} == 1 && "${COMPREPLY[0]}" == *: ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

_sbx_more() {
    # The words as the command gets them: bash takes them apart at colons and equals signs.
    local line="${COMP_LINE:0:COMP_POINT}" words=() starts=() rest word i n=0
    line="${line#*"${COMP_WORDS[0]}"}"
    for ((i = 1; i <= COMP_CWORD; i++)); do
        rest="${line#"${line%%[![:space:]]*}"}"
        word="${COMP_WORDS[i]}"
        if ((i == COMP_CWORD)); then
            word="$rest"
        fi
        if [[ "$rest" == "$line" && n -gt 0 ]]; then
            words[n - 1]+="$word"
        else
            words[n]="$word"
            starts[n]=$i
            n=$((n + 1))
        fi
        line="${rest#"$word"}"
    done
    local cur="${words[n - 1]}" verb=run at=0 kind="" valued="" flag="" place=1 letters
    COMPREPLY=()
    if [[ "$n" == 1 && "$cur" != --*=* ]]; then
        _sbx "$@"
        if [[ "$cur" != -* ]]; then
            COMPREPLY+=($(compgen -c -- "$cur"))
        fi
        return
    fi
    local prefix=()
    case "${words[0]}" in
        help) _sbx "$@"; return ;;
        @ABOVE@)
            if ((n == 2)); then
                _sbx "$@"
                return
            fi
            verb="${words[0]} ${words[1]}"
            prefix=("${words[0]}" "${words[1]}")
            at=2
            ;;
        @VERBS@) verb="${words[0]}"; prefix=("$verb"); at=1 ;;
    esac
    case "$verb" in
@VALUED@
    esac
    local only=""
    for (( ; at < n - 1; at++)); do
        word="${words[at]}"
        if [[ -z "$only" && "$word" == -- ]]; then
            only=1
            continue
        fi
        if [[ -n "$only" || "$word" != -?* ]]; then
            _sbx_place "$verb" "$place"
            if [[ "$kind" == program ]]; then
                _sbx_program "${starts[at]}" "$2"
                return
            fi
            place=$((place + 1))
            continue
        fi
        flag=""
        if [[ "$word" == --* ]]; then
            if [[ "$word" != *=* && "$valued" == *" $word "* ]]; then
                flag="$word"
            fi
        else
            for ((letters = 1; letters < ${#word}; letters++)); do
                if [[ "$valued" == *" -${word:letters:1} "* ]]; then
                    if ((letters + 1 == ${#word})); then
                        flag="-${word:letters:1}"
                    fi
                    break
                fi
                case "$verb ${word:letters:1}" in
                    "exec l" | "top l" | "port l") place=$((place + 1)) ;;
                esac
            done
        fi
        case "$verb $word" in
            "exec --latest" | "top --latest" | "port --latest") place=$((place + 1)) ;;
        esac
        if [[ -n "$flag" ]]; then
            at=$((at + 1))
            if ((at == n - 1)); then
                break
            fi
            flag=""
        fi
    done
    local value="$cur"
    if [[ -z "$flag" && -z "$only" && "$cur" == --*=* ]]; then
        flag="${cur%%=*}"
        value="${cur#*=}"
    fi
    if [[ -n "$flag" ]]; then
        kind=""
        case "$flag" in
@FLAGS@
        esac
        if [[ -z "$kind" ]]; then
            # Bash takes the word apart, so that only a part of it is completed; the function looks at its own words.
            local COMP_WORDS=(sbx "${prefix[@]}" "$flag" "$value") COMP_CWORD=$((${#prefix[@]} + 2))
            _sbx "$1" "$value" "$flag"
            return
        fi
    elif [[ -z "$only" && "$cur" == -* ]]; then
        local COMP_WORDS=(sbx "${prefix[@]}" x "$cur") COMP_CWORD=$((${#prefix[@]} + 2))
        _sbx "$1" "$cur" x
        return
    else
        _sbx_place "$verb" "$place"
    fi
    case "$kind" in
        program) _sbx_program "${starts[n - 1]}" "$2" ;;
        files) ;;
        free | "") compopt +o default +o bashdefault 2>/dev/null ;;
        profiles) _sbx_offer "$value" < <(_sbx_names profiles) ;;
        *)
            compopt +o default +o bashdefault 2>/dev/null
            _sbx_offer "$value" < <(_sbx_names "$kind")
            ;;
    esac
}

_sbx_place() {
    kind=""
    case "$1 $2" in
@PLACES@
    esac
}
complete -F _sbx_more -o bashdefault -o default sbx
