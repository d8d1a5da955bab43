// Fuzz target: the pkgmap of a spooled SVR4 package; what is taken can be installed: a plain absolute path, and an
// entry that a contents file can hold and gives back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/packages/svr4/contents_table.h"
#include "core/packages/svr4/pkgmap.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const PackageParameters parameters{{"BASEDIR", "/opt"}, {"WHERE", "/a/b"}, {"WHO", "bin"}, {"BAD", "../x y"}};
    const auto entries = parse_pkgmap(text, "pkgmap", parameters);
    if (!entries) return 0;
    for (const PkgmapEntry& entry : *entries) {
        if (!is_installable_path(entry.path)) std::abort();
        const bool is_link = entry.type == 's' || entry.type == 'l';
        if (is_link == entry.target.empty()) std::abort();
        ContentsTable table;
        const ContentsRecord record{entry.type, entry.klass, entry.target, entry.attributes, {{0, "SUNWx", false, ""}}};
        if (!table.add(entry.path, record)) std::abort();
        const auto again = ContentsTable::parse(table.text("x", "y"), "contents");
        if (!again || again->records() != table.records()) std::abort();
    }
    return 0;
}
