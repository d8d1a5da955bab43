// Replays every file of the given directories through a fuzz target, whole and with each byte changed once.
#include <cstdint>
#include <cstdio>
#include <string>

#include "core/base/files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
    unsigned files = 0;
    for (int i = 1; i < argc; ++i) {
        const auto names = zoneferry::list_directory(argv[i]);
        if (!names) return std::fprintf(stderr, "%s\n", names.error().text().c_str()), 1;
        for (const std::string& name : *names) {
            auto content = zoneferry::read_file(std::string(argv[i]) + "/" + name, 1 << 20);
            if (!content) return std::fprintf(stderr, "%s\n", content.error().text().c_str()), 1;
            auto* bytes = reinterpret_cast<std::uint8_t*>(content->data());
            LLVMFuzzerTestOneInput(bytes, content->size());
            for (std::size_t at = 0; at < content->size(); ++at) {
                for (const std::uint8_t change : {std::uint8_t{0x01}, std::uint8_t{0x80}, std::uint8_t{0xff}}) {
                    bytes[at] ^= change;
                    LLVMFuzzerTestOneInput(bytes, content->size());
                    bytes[at] ^= change;
                }
            }
            ++files;
        }
    }
    std::printf("%u files replayed\n", files);
    return files == 0 ? 1 : 0;
}
