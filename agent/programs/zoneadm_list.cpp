// zoneadm list: as Solaris prints it.
//
//   plain   names of running zones          -i installed as well   -c configured as well
//   -v      ID NAME STATUS PATH BRAND IP
//   -p      id:name:state:zonepath:uuid:brand:ip-type   (':' in the path as '\:')
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/programs/zoneadm_verbs.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

struct Row {
    std::string id;  // the leader's pid; "-": not running
    std::string name;
    std::string state;
    std::string path;
    std::string uuid;
    std::string brand;
    std::string ip_type;
};

struct ListOptions {
    bool configured = false;
    bool installed = false;
    bool parsable = false;
    bool verbose = false;
    bool json = false;
};

bool parse_options(const std::vector<std::string>& words, ListOptions& options) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--format" && i + 1 < words.size() && words[i + 1] == "json") {
            options.json = true;
            ++i;
            continue;
        }
        if (words[i].size() < 2 || words[i][0] != '-') return false;
        for (const char flag : words[i].substr(1)) {
            if (flag == 'c')
                options.configured = true;
            else if (flag == 'i')
                options.installed = true;
            else if (flag == 'p')
                options.parsable = true;
            else if (flag == 'v')
                options.verbose = true;
            else
                return false;
        }
    }
    return !(options.parsable && options.json);
}

Row row_of(VerbContext& context, const ZoneEntry& entry) {
    Row row{"-",      entry.name.str(), std::string(state_name(entry.state)), entry.zonepath, entry.uuid,
            "native", "shared"};
    if (entry.state == ZoneState::installed) {
        if (const auto status = context.runtime.status(entry.name); status && status->state != ZoneState::installed) {
            row.state = state_name(status->state);
            row.id = status->leader == 0 ? "-" : std::to_string(status->leader);
        }
    }
    if (const auto config = context.store.config(entry.name); config) {
        row.brand = config->brand;
        row.ip_type = config->ip_type == IpType::exclusive ? "excl" : "shared";
    }
    return row;
}

bool is_wanted(const Row& row, const ListOptions& options) {
    if (row.state == "configured" || row.state == "incomplete") return options.configured;
    if (row.state == "installed") return options.configured || options.installed;
    return true;
}

Result<std::vector<Row>> gather(VerbContext& context, const ListOptions& options) {
    if (context.zone) {
        ZF_TRY(const ZoneEntry entry, context.store.find(*context.zone));
        return std::vector<Row>{row_of(context, entry)};
    }
    std::vector<Row> rows{{"0", "global", "running", "/", "", "native", "shared"}};
    ZF_TRY(const std::vector<ZoneEntry> entries, context.store.list());
    for (const ZoneEntry& entry : entries) {
        Row row = row_of(context, entry);
        if (is_wanted(row, options)) rows.push_back(std::move(row));
    }
    return rows;
}

void print_parsable(const Row& row) {
    std::string path;
    for (const char c : row.path) path += c == ':' ? std::string("\\:") : std::string(1, c);
    std::printf("%s:%s:%s:%s:%s:%s:%s\n", row.id.c_str(), row.name.c_str(), row.state.c_str(), path.c_str(),
                row.uuid.c_str(), row.brand.c_str(), row.ip_type.c_str());
}

void print_json(const std::vector<Row>& rows) {
    nlohmann::json out = nlohmann::json::array();
    for (const Row& row : rows) {
        out.push_back({{"id", row.id},
                       {"name", row.name},
                       {"state", row.state},
                       {"zonepath", row.path},
                       {"uuid", row.uuid},
                       {"brand", row.brand},
                       {"ip_type", row.ip_type}});
    }
    std::printf("%s\n", out.dump(2).c_str());
}

}  // namespace

int run_list(VerbContext& context) {
    ListOptions options;
    if (!parse_options(context.arguments, options)) return report_usage("list [-c|-i] [-p] [-v] [--format json]");
    const auto rows = gather(context, options);
    if (!rows) return report_error(rows.error());
    if (options.json) {
        print_json(*rows);
        return 0;
    }
    constexpr const char* kFormat = "%7s %-16s %-13s %-30s %-8s %s\n";
    if (options.verbose && !options.parsable) std::printf(kFormat, "ID", "NAME", "STATUS", "PATH", "BRAND", "IP");
    for (const Row& row : *rows) {
        if (options.parsable)
            print_parsable(row);
        else if (!options.verbose)
            std::printf("%s\n", row.name.c_str());
        else
            std::printf(kFormat, row.id.c_str(), row.name.c_str(), row.state.c_str(), printable(row.path).c_str(),
                        row.brand.c_str(), row.ip_type.c_str());
    }
    return 0;
}

}  // namespace zoneferry
