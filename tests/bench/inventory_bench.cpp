// How long the inventory of a large host takes, and the comparison with another: 3,000 svr4 packages with a contents
// file of 600,000 lines, and 3,000 dpkg packages with as many paths in their lists. Prints seconds, the peak of memory
// (VmHWM, one process for each host), and where the time goes; the parts are measured alone, after the whole. The files
// are in the page cache: this measures us, not the disk.
//
//     cmake --preset release && cmake --build --preset release --target inventory_bench
//     build/release/tests/bench/inventory_bench EMPTY_DIRECTORY
//
// The aim: under 1 s and 150 MB each.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/compare.h"
#include "core/packages/database_file.h"
#include "core/packages/dpkg/database.h"
#include "core/packages/inventory.h"
#include "core/packages/limits.h"
#include "core/packages/svr4/contents.h"
#include "core/packages/svr4/pkginfo.h"

namespace zoneferry {
namespace {

constexpr int kPackages = 3000;
constexpr int kPathsOfOne = 200;
const DependencyScope kScope{{"/usr", "/opt/shared"}, {"/usr/local"}};

template <class T>
T must(Result<T> result) {
    if (result) return *std::move(result);
    std::fprintf(stderr, "%s\n", result.error().text().c_str());
    std::exit(1);
}

void write_plain(const std::string& path, const std::string& text) {
    const Status made = make_directories(path.substr(0, path.rfind('/')), 0755);
    const auto file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!made || !file || !write_all(file->get(), as_bytes(text))) {
        std::fprintf(stderr, "cannot write %s\n", path.c_str());
        std::exit(1);
    }
}

std::string path_of(int package, int number) {
    const char* top = package % 3 == 0 ? "/var/opt/" : "/usr/share/";
    return top + ("package-" + std::to_string(package)) + "/file-number-" + std::to_string(number);
}

void make_svr4(const std::string& root) {
    std::string contents;
    for (int i = 0; i < kPackages; ++i) {
        const std::string name = "SUNWp" + std::to_string(i);
        for (int j = 0; j < kPathsOfOne; ++j) {
            contents += path_of(i, j) + " f none 0644 root bin 12345 54321 1106350423 " + name +
                        (j % 10 == 0 ? " SUNWp" + std::to_string(i / 2) : "") + "\n";
        }
        std::string info = "CLASSES=none\nBASEDIR=/\nPKG=" + name +
                           "\nNAME=made\nARCH=i386\nVERSION=11.10.0,REV=2005." + std::to_string(i) +
                           "\nCATEGORY=system\n";
        for (int p = 0; p < 10; ++p) {
            info += "PATCH_INFO_" + std::to_string(118000 + (i + p) % 500) +
                    "-36=Installed: Mon From: mail Obsoletes: 117000-01 Requires: Incompatibles: \n";
        }
        write_plain(root + "/var/sadm/pkg/" + name + "/pkginfo", info);
        write_plain(root + "/var/sadm/pkg/" + name + "/install/depend", "P SUNWp" + std::to_string(i / 2) + " x\n");
    }
    write_plain(root + "/var/sadm/install/contents", contents);
}

void make_dpkg(const std::string& root) {
    std::string status;
    for (int i = 0; i < kPackages; ++i) {
        const std::string name = "package-" + std::to_string(i);
        status +=
            "Package: " + name + "\nStatus: install ok installed\nPriority: optional\nSection: libs\n" +
            "Installed-Size: 1234\nMaintainer: Somebody <somebody@example.org>\nArchitecture: amd64\nVersion: 1:2." +
            std::to_string(i) + "~rc1-1+deb12u1\nDepends: libc6 (>= 2.36), libother1 (>= 1.2.3), something-else\n" +
            "Description: made for a benchmark\n" + std::string(600, 'x').insert(0, " ") + "\n\n";
        std::string list = "/.\n/usr\n/usr/share\n";
        for (int j = 0; j < kPathsOfOne; ++j) list += path_of(i, j) + "\n";
        write_plain(root + "/var/lib/dpkg/info/" + name + ".list", list);
    }
    write_plain(root + "/var/lib/dpkg/status", status);
}

double seconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double peak_megabytes() {
    const std::string status = must(read_file("/proc/self/status", 1 << 16));
    const std::size_t at = status.find("VmHWM:");
    return static_cast<double>(parse_number<long>(split_words(status.substr(at, 64))[1]).value_or(0)) / 1024;
}

void part(const char* name, const std::function<void()>& work) {
    std::printf("    %-34s %6.3f s\n", name, seconds(work));
}

// The whole as detach and attach do it; the other host has every 50th package in another version.
void whole(const char* system, const std::string& root) {
    Inventory inventory;
    const double taking = seconds([&] { inventory = must(take_inventory(HostRoot(root), kScope)); });
    Inventory other = inventory;
    for (std::size_t i = 0; i < other.packages.size(); i += 50) other.packages[i].version += ".1";
    Differences differences;
    const double comparing = seconds([&] { differences = compare(other, inventory); });
    std::printf("%s: %.3f s, peak %.0f MB: inventory %.3f s (%zu dependent packages), comparison %.3f s (%zu differ)\n",
                system, taking + comparing, peak_megabytes(), taking, inventory.packages.size(), comparing,
                differences.count());
}

void svr4_parts(int root) {
    const auto matcher = must(ScopeMatcher::make(kScope, {}));
    std::string contents;
    part("reading the contents file",
         [&] { contents = must(read_in_root(root, "/var/sadm/install/contents", kContentsBytesMax)); });
    std::size_t owners = 0;
    part("parsing it, every owner", [&] {
        (void)for_each_contents_entry(contents, "contents", [&](ContentsEntry entry) -> Status {
            ContentsOwner owner;
            while (next_owner(entry, owner)) ++owners;
            return {};
        });
    });
    std::vector<std::string_view> paths;
    (void)for_each_contents_entry(contents, "contents", [&](const ContentsEntry& entry) -> Status {
        paths.push_back(entry.path);
        return {};
    });
    std::size_t inside = 0;
    part("scope matching", [&] {
        for (const std::string_view path : paths) inside += matcher.contains(path) ? 1U : 0U;
    });
    std::vector<std::string> infos;
    part("reading 3,000 pkginfo", [&] {
        for (int i = 0; i < kPackages; ++i) {
            const std::string path = "/var/sadm/pkg/SUNWp" + std::to_string(i) + "/pkginfo";
            infos.push_back(must(read_in_root(root, path, kPkginfoBytesMax)));
        }
    });
    part("parsing them", [&] {
        for (const std::string& info : infos) (void)must(parse_pkginfo(info, "pkginfo"));
    });
    std::printf("    (%zu lines, %zu owners, %zu in scope)\n", paths.size(), owners, inside);
}

void dpkg_parts(int root) {
    const auto matcher = must(ScopeMatcher::make(kScope, {}));
    std::string status;
    part("reading the status file",
         [&] { status = must(read_in_root(root, "/var/lib/dpkg/status", kStatusBytesMax)); });
    part("parsing it", [&] { (void)must(parse_dpkg_status(status, "status")); });
    const DpkgDatabase database = must(DpkgDatabase::open(root));
    std::vector<std::string> lists;
    part("reading 3,000 lists", [&] {
        for (const DpkgPackage& package : database.packages()) lists.push_back(must(database.file_list_text(package)));
    });
    std::vector<std::string_view> paths;
    part("parsing them", [&] {
        for (const std::string& list : lists) {
            (void)for_each_dpkg_path(list, "list", [&](std::string_view path, bool) {
                paths.push_back(path);
                return true;
            });
        }
    });
    std::size_t inside = 0;
    part("scope matching", [&] {
        for (const std::string_view path : paths) inside += matcher.contains(path) ? 1U : 0U;
    });
    std::printf("    (%zu paths, %zu in scope; the inventory stops at a package's first path in scope)\n", paths.size(),
                inside);
}

// In a process of its own, for the peak of memory.
void in_child(const std::function<void()>& work) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
        work();
        std::fflush(stdout);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) std::exit(1);
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    using namespace zoneferry;
    if (argc != 2) {
        std::fprintf(stderr, "usage: inventory_bench EMPTY_DIRECTORY\n");
        return 2;
    }
    const std::string directory = argv[1];
    in_child([&] {
        make_svr4(directory + "/svr4");
        make_dpkg(directory + "/dpkg");
    });
    for (int round = 0; round < 2; ++round) {
        in_child([&] { whole("svr4", directory + "/svr4"); });
        in_child([&] { whole("dpkg", directory + "/dpkg"); });
    }
    in_child([&] {
        std::printf("svr4, alone:\n");
        svr4_parts(must(open_directory(directory + "/svr4")).get());
    });
    in_child([&] {
        std::printf("dpkg, alone:\n");
        dpkg_parts(must(open_directory(directory + "/dpkg")).get());
    });
    for (const char* made : {"/svr4", "/dpkg"}) {
        if (const Status gone = remove_tree(directory + made); !gone)
            std::fprintf(stderr, "%s\n", gone.error().text().c_str());
    }
    return 0;
}
