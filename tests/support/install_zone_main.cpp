// zf-test-install ZONE ZONEPATH [--inherit DIR]... [-d DIR | -a TAR]: configures and installs a zone by the library
// alone, for tests of core/image that want no command line in between.
#include <iostream>

#include "core/image/install.h"

namespace zoneferry {
namespace {

Result<InstallReport> install(const std::vector<std::string>& arguments) {
    ZoneConfig config;
    config.name = arguments.at(0);
    config.zonepath = arguments.at(1);
    InstallSource source = HostPackages{};
    for (std::size_t i = 2; i + 1 < arguments.size(); i += 2) {
        if (arguments[i] == "--inherit") config.inherited_directories.push_back(arguments[i + 1]);
        if (arguments[i] == "-d") source = ImageDirectory{arguments[i + 1]};
        if (arguments[i] == "-a") source = ImageArchive{arguments[i + 1]};
    }
    ZoneStore store{HostRoot()};
    ZF_TRY(const ZoneName name, ZoneName::create(config.name));
    ZF_TRY(const ZoneLock lock, store.lock(name));
    ZF_TRY_STATUS(store.create(lock, config));
    return install_zone(store, lock, source);
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) {
    const auto report = zoneferry::install(std::vector<std::string>(argv + 1, argv + argc));
    if (!report) {
        std::cerr << report.error().text() << "\n";
        return 1;
    }
    for (const std::string& warning : report->warnings) std::cerr << "warning: " << warning << "\n";
    std::cout << report->packages << " packages, " << report->files << " files, " << report->bytes << " bytes\n";
    return 0;
}
