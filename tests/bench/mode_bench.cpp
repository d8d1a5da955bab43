// What sets of parameters of zstd make of a tree's segments, and how fast: for the table in compression_control.h.
//
//     mode_bench SOURCE SCRATCH SHARE SET...
//         SHARE: of the tree, in runs of 28 MiB spread over it; SCRATCH: a directory for the catalog
//         SET: level[,name=value...]: segment (MiB), window (log), min, hash, chain, search (logs), strategy (1..9),
//              target, long (1), longmin, longrate, longhash, prefix (segments before)
// One thread. A line for each set: megabytes a second (of processor time), the ratio, the memory of the context.
#include <zstd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "transfer/sender.h"

namespace zoneferry {
namespace {

Result<ByteVector> stream_of(const std::string& source, const std::string& scratch) {
    SendOptions options;
    options.catalog_path_prefix = scratch + "/catalog";
    options.zstd_level = 0;
    options.compressor_threads = 1;
    ZF_TRY(UniqueFd tree, open_directory(source));
    ZF_TRY(auto sender, TreeSender::start(std::move(tree), options));
    ByteVector all;
    all.reserve(std::size_t{2} << 30U);
    while (true) {
        ZF_TRY(const std::optional<TreeSegment> segment, sender->next());
        if (!segment) return all;
        all.insert(all.end(), segment->payload.begin(), segment->payload.end());
    }
}

using Words = std::map<std::string, int>;

Words parse(const std::string& set) {
    Words words;
    std::istringstream in(set);
    std::string word;
    std::getline(in, word, ',');
    words["level"] = std::atoi(word.c_str());
    while (std::getline(in, word, ',')) {
        const std::size_t sign = word.find('=');
        words[word.substr(0, sign)] = std::atoi(word.c_str() + sign + 1);
    }
    return words;
}

void set_parameters(ZSTD_CCtx* context, const Words& words) {
    const std::map<std::string, ZSTD_cParameter> names{
        {"level", ZSTD_c_compressionLevel},
        {"window", ZSTD_c_windowLog},
        {"min", ZSTD_c_minMatch},
        {"hash", ZSTD_c_hashLog},
        {"chain", ZSTD_c_chainLog},
        {"search", ZSTD_c_searchLog},
        {"strategy", ZSTD_c_strategy},
        {"target", ZSTD_c_targetLength},
        {"long", ZSTD_c_enableLongDistanceMatching},
        {"longmin", ZSTD_c_ldmMinMatch},
        {"longrate", ZSTD_c_ldmHashRateLog},
        {"longhash", ZSTD_c_ldmHashLog},
    };
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
    for (const auto& [name, value] : words) {
        if (names.count(name) == 0) continue;
        if (ZSTD_isError(ZSTD_CCtx_setParameter(context, names.at(name), value)) != 0) {
            std::printf("bad %s\n", name.c_str());
            std::exit(1);
        }
    }
}

double now_seconds() { return 1e-9 * static_cast<double>(thread_processor_ns()); }

struct Set {
    std::string text;
    Words words;
    ZSTD_CCtx* context = nullptr;
    double seconds = 0;
    double packed = 0;
    double raw = 0;
};

// Packs [from, from + run) of the stream in segments, once: seconds and bytes.
std::pair<double, std::size_t> pack(Set& set, ConstBytes all, std::size_t at, std::size_t run, ByteVector& out) {
    const auto number = [&](const char* name, int usual) {
        return static_cast<std::size_t>(set.words.count(name) != 0 ? set.words.at(name) : usual);
    };
    const std::size_t bytes = number("segment", 2) << 20U;
    const std::size_t end = std::min(all.size(), at + run);
    std::size_t packed = 0;
    const double begin = now_seconds();
    for (std::size_t from = at; from < end; from += bytes) {
        const std::size_t size = std::min(bytes, end - from);
        set_parameters(set.context, set.words);
        const std::size_t history = std::min(from, number("prefix", 0) * bytes);
        if (history != 0) ZSTD_CCtx_refPrefix(set.context, all.data() + from - history, history);
        packed += std::min(size, ZSTD_compress2(set.context, out.data(), out.size(), all.data() + from, size));
    }
    return {now_seconds() - begin, packed};
}

// By turns, because others share the machine: of each run the best of three counts.
void measure(ConstBytes all, double share, std::vector<Set>& sets) {
    constexpr std::size_t kRun = std::size_t{28} << 20U;  // whole segments of 2, 4, 7 MiB
    ByteVector out(ZSTD_compressBound(std::size_t{64} << 20U));
    double due = 0;
    for (std::size_t at = 0; at < all.size(); at += kRun) {
        due += share;
        if (due < 1) continue;
        due -= 1;
        std::vector<double> best(sets.size(), 1e9);
        for (int round = 0; round < 3; ++round) {
            for (std::size_t i = 0; i < sets.size(); ++i) {
                const auto [seconds, packed] = pack(sets[i], all, at, kRun, out);
                best[i] = std::min(best[i], seconds);
                if (round != 0) continue;
                sets[i].packed += static_cast<double>(packed);
                sets[i].raw += static_cast<double>(std::min(kRun, all.size() - at));
            }
        }
        for (std::size_t i = 0; i < sets.size(); ++i) sets[i].seconds += best[i];
    }
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    if (argc < 5) return std::fprintf(stderr, "see the head of mode_bench.cpp\n"), 2;
    const auto all = zoneferry::stream_of(argv[1], argv[2]);
    if (!all) return std::fprintf(stderr, "%s\n", all.error().text().c_str()), 1;
    std::vector<zoneferry::Set> sets;
    for (int i = 4; i < argc; ++i) sets.push_back({argv[i], zoneferry::parse(argv[i]), ZSTD_createCCtx()});
    zoneferry::measure(*all, std::atof(argv[3]), sets);
    for (const zoneferry::Set& set : sets) {
        std::printf("%-60s %7.1f MB/s  %.4f  %5zu KiB\n", set.text.c_str(), set.raw / 1e6 / set.seconds,
                    set.packed / set.raw, ZSTD_sizeof_CCtx(set.context) / 1024);
        ZSTD_freeCCtx(set.context);
    }
    return 0;
}
