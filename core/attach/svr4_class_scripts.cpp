// The standard class action scripts, for hosts that do not have /usr/sadm/install/scripts. What each does is
// pkginstall's documented behaviour; the texts are ours. i.CLASS reads "source destination" lines, r.CLASS
// destinations.
//
//   preserve    a file that is there stays
//   renamenew   a file that is there stays; one that differs comes beside it as .new
//   renameold   a file that differs goes aside as .old
//   sed, awk    the source is a program with sections !install and !remove that is run over the file; kept below
//   $PKGSAV build       the source is a script, run with "install" or "remove"; what it prints becomes the file, kept
//   too manifest    a service description: copied; nothing is imported, the zone does not run
#include "core/attach/svr4_scripts.h"

namespace zoneferry {
namespace {

// dst_name: the destination below the zone's root, for the name of what is kept.
constexpr const char* kCommon = R"sh(set -f
dst_name() { echo "${1#"$PKG_INSTALL_ROOT"/}"; }
copy() { mkdir -p "$(dirname "$2")" && cp -p "$1" "$2" || exit 1; }
keep() { copy "$1" "$PKGSAV/$3/$(dst_name "$2")"; }
section() {
    awk -v want="!$2" '$1 == "!install" || $1 == "!remove" { on = ($1 == want); next } on' "$1" > "$3" || exit 1
}
)sh";

constexpr const char* kInstallPreserve = R"sh(while read src dst; do
    [ -f "$dst" ] || copy "$src" "$dst"
done
exit 0
)sh";

constexpr const char* kInstallRenameNew = R"sh(while read src dst; do
    if [ ! -f "$dst" ]; then
        copy "$src" "$dst"
    elif ! cmp -s "$src" "$dst"; then
        copy "$src" "$dst.new"
        echo "RENAMED: ${dst#"$PKG_INSTALL_ROOT"} is kept, the new one is ${dst#"$PKG_INSTALL_ROOT"}.new"
    fi
done
exit 0
)sh";

constexpr const char* kInstallRenameOld = R"sh(while read src dst; do
    if [ -f "$dst" ] && ! cmp -s "$src" "$dst"; then
        mv "$dst" "$dst.old" || exit 1
    fi
    copy "$src" "$dst"
done
exit 0
)sh";

constexpr const char* kRemoveFiles = R"sh(while read dst; do
    rm -f "$dst" || exit 1
done
exit 0
)sh";

constexpr const char* kCopy = R"sh(while read src dst; do
    copy "$src" "$dst"
done
exit 0
)sh";

// %T: the tool with its option for a program file.
constexpr const char* kInstallEdit = R"sh(while read src dst; do
    keep "$src" "$dst" %C
    [ -f "$dst" ] || { mkdir -p "$(dirname "$dst")" &&
    : > "$dst";
} || exit 1
    section "$src" install "$TMPDIR/section.$$"
    %T "$TMPDIR/section.$$" "$dst" > "$TMPDIR/result.$$" || exit 1
    cmp -s "$TMPDIR/result.$$" "$dst" || cat "$TMPDIR/result.$$" > "$dst" || exit 1
done
exit 0
)sh";

constexpr const char* kRemoveEdit = R"sh(while read dst; do
    src="$PKGSAV/%C/$(dst_name "$dst")"
    [ -f "$src" ] && [ -f "$dst" ] || continue
    section "$src" remove "$TMPDIR/section.$$"
    %T "$TMPDIR/section.$$" "$dst" > "$TMPDIR/result.$$" || exit 1
    if [ -s "$TMPDIR/result.$$" ]; then cat "$TMPDIR/result.$$" > "$dst" || exit 1; else rm -f "$dst"; fi
    rm -f "$src"
done
exit 0
)sh";

constexpr const char* kInstallBuild = R"sh(while read src dst; do
    keep "$src" "$dst" build
    sh "$src" install < /dev/null > "$TMPDIR/result.$$" || exit 1
    [ -s "$TMPDIR/result.$$" ] || continue
    mkdir -p "$(dirname "$dst")" && cat "$TMPDIR/result.$$" > "$dst" || exit 1
done
exit 0
)sh";

constexpr const char* kRemoveBuild = R"sh(while read dst; do
    src="$PKGSAV/build/$(dst_name "$dst")"
    if [ -f "$src" ]; then
        sh "$src" remove < /dev/null > "$TMPDIR/result.$$" || exit 1
        rm -f "$src"
        if [ -s "$TMPDIR/result.$$" ]; then cat "$TMPDIR/result.$$" > "$dst" || exit 1; continue; fi
    fi
    rm -f "$dst" || exit 1
done
exit 0
)sh";

std::string filled(std::string text, std::string_view class_name, std::string_view tool) {
    for (std::size_t at = 0; (at = text.find("%C", at)) != std::string::npos;) text.replace(at, 2, class_name);
    for (std::size_t at = 0; (at = text.find("%T", at)) != std::string::npos;) text.replace(at, 2, tool);
    return text;
}

}  // namespace

const std::vector<std::pair<std::string, std::string>>& standard_class_scripts() {
    const auto whole = [](std::string_view text) { return kCommon + std::string(text); };
    static const std::vector<std::pair<std::string, std::string>> scripts{
        {"i.preserve", whole(kInstallPreserve)},
        {"r.preserve", whole(kRemoveFiles)},
        {"i.renamenew", whole(kInstallRenameNew)},
        {"r.renamenew", whole(kRemoveFiles)},
        {"i.renameold", whole(kInstallRenameOld)},
        {"r.renameold", whole(kRemoveFiles)},
        {"i.sed", whole(filled(kInstallEdit, "sed", "sed -f"))},
        {"r.sed", whole(filled(kRemoveEdit, "sed", "sed -f"))},
        {"i.awk", whole(filled(kInstallEdit, "awk", "awk -f"))},
        {"r.awk", whole(filled(kRemoveEdit, "awk", "awk -f"))},
        {"i.build", whole(kInstallBuild)},
        {"r.build", whole(kRemoveBuild)},
        {"i.manifest", whole(kCopy)},
        {"r.manifest", whole(kRemoveFiles)},
    };
    return scripts;
}

}  // namespace zoneferry
