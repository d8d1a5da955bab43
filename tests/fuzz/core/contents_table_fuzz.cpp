// Fuzz target: a contents file read, changed and written; what is written says the same when it is read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/packages/svr4/contents_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace zoneferry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    auto table = ContentsTable::parse(text, "contents");
    if (!table) return 0;
    for (int round = 0; round < 2; ++round) {
        const auto again = ContentsTable::parse(table->text("attach -u for SUNWx package", "today"), "contents");
        if (!again || again->records() != table->records()) std::abort();
        table->drop_package("SUNWa");
    }
    return 0;
}
