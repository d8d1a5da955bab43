// Runs a fuzz target over stored inputs: every file in the directories given. No fuzzer needed.
#include <cstdint>
#include <cstdio>
#include <string>

#include "core/base/files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
    using namespace zoneferry;
    int inputs = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string directory = argv[i];
        const auto names = list_directory(directory);
        if (!names) {
            std::fprintf(stderr, "%s\n", names.error().text().c_str());
            return 1;
        }
        for (const std::string& name : *names) {
            const auto text = read_file(directory + "/" + name, 16 << 20);
            if (!text) return 1;
            LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text->data()), text->size());
            ++inputs;
        }
    }
    std::printf("%d inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}
