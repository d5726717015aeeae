# apk-tools: one process for every pair, since `apk version -t` takes no more. Prints `<`, `=` or `>`.
tab=$(printf '\t')
while IFS="$tab" read -r a b; do
    apk version -t "$a" "$b" 2>/dev/null || echo '?'
done
