#!/bin/sh
# Runs the C test programs given as arguments and prints one line each and a summary.
# SPDX-License-Identifier: BSD-3-Clause
passed=0
failed=0
for program in "$@"; do
    if output=$("$program" 2>&1); then
        passed=$((passed + 1))
        echo "ok    $program"
        echo "$output" | sed -n 's/^SKIP/      SKIP/p'
    else
        status=$?
        failed=$((failed + 1))
        echo "FAIL  $program (status $status)"
        echo "$output" | tail -n 60 | sed 's/^/      /'
    fi
done
echo "C tests: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
