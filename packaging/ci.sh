#!/usr/bin/env bash
# One scheduled run in a CI job: measures, holds the run against rules, and leaves the verdict for
# the next step. `action.yml` calls it; any other system can. Settings come by environment:
#   BREAKEVEN_CONFIG    the configuration file            [breakeven.toml]
#   BREAKEVEN_OUT       where the run directory goes      [breakeven-run]
#   BREAKEVEN_RULES     rules to hold the run against     [none]
#   BREAKEVEN_HISTORY   address of the history            [the configuration's]
#   BREAKEVEN_ARGUMENTS more for `breakeven run`, split at blanks
# Ends with the code of `breakeven check` where rules are given, else with that of `breakeven run`;
# where that is 0 and the history could not be written, with the code of that.
set -euo pipefail

config=${BREAKEVEN_CONFIG:-breakeven.toml}
out=${BREAKEVEN_OUT:-breakeven-run}
rules=${BREAKEVEN_RULES-}
history=${BREAKEVEN_HISTORY-}
read -r -a arguments <<<"${BREAKEVEN_ARGUMENTS-}"

# Where GitHub Actions takes outputs and summaries from; elsewhere they are dropped.
outputs=${GITHUB_OUTPUT:-/dev/null}
summary=${GITHUB_STEP_SUMMARY:-/dev/null}

# A verdict that lay here before is another run's. GNU's stat, then that of BSD and macOS.
written() { stat -c '%i %y' "$1" 2>/dev/null || stat -f '%i %Fm' "$1" 2>/dev/null || true; }
before=$(written "$out/verdict.env")
is_ours() { [[ -f $out/verdict.env && $(written "$out/verdict.env") != "$before" ]]; }

code=0
breakeven run "$config" --out "$out" ${arguments[@]+"${arguments[@]}"} || code=$?
# Whatever was measured before a run ended early is handed on as well.
if is_ours; then
    cat "$out/verdict.env" >>"$outputs"
    printf 'breakeven_report=%s\n' "$out/report.html" >>"$outputs"
    cat "$out/report.md" >>"$summary"
fi
# 4: done, though some samples failed. 3 at the end of a run that is whole or used its time up: it is
# measured, and only its history could not be written. The rules can be asked in both cases.
kept=0
case $code in
    0 | 4) ;;
    3)
        is_ours || exit 3
        grep -Eqs '^breakeven_ending=(complete|partial: the time budget)' "$out/verdict.env" || exit 3
        code=0 kept=3
        ;;
    *) exit "$code" ;;
esac

# A bucket that is away takes nothing of what the rules say.
if [[ -n $history ]]; then breakeven history add "$out" --to "$history" || kept=$?; fi

if [[ -n $rules ]]; then
    code=0
    check=(--rules "$rules" --junit "$out/junit.xml" --metrics "$out/metrics.txt")
    if [[ -n ${GITHUB_ACTIONS-} ]]; then check+=(--github-annotations --summary "$summary"); fi
    breakeven check "$out" "${check[@]}" || code=$?
fi
if [[ $code -eq 0 ]]; then code=$kept; fi
exit "$code"
