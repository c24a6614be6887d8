#include "runtime/postgres/transaction_source.h"

#include "runtime/postgres/parameters.h"

namespace cutover::postgres {

PgTransactionSource::PgTransactionSource(ConnectionOptions options, Identity identity)
    : connection_(std::move(options)), identity_(std::move(identity)) {}

void PgTransactionSource::ensure_connected() {
  if (!connection_.connected()) connection_.connect();
}

std::unique_ptr<BatchTransaction> PgTransactionSource::begin() {
  ensure_connected();
  return std::make_unique<PgBatchTransaction>(connection_, identity_, started_);
}

std::vector<Past> PgTransactionSource::start_redelivered(const Origin& origin, std::span<const std::uint64_t> sequences,
                                                         bool alone) {
  ensure_connected();
  std::vector<std::int64_t> numbers(sequences.begin(), sequences.end());
  auto rows = connection_.run(
      "SELECT sequence, shadow, attempts, lone_crashes, suspect, first_failed_at FROM cutover.start_redelivered("
      "$1::text, $2::text, $3::bigint::integer, $4::text, $5::bigint::integer, $6::bigint[], $7::boolean)",
      {std::string_view(identity_.worker), std::string_view(identity_.instance), std::int64_t{identity_.thread},
       std::string_view(origin.stream), std::int64_t{origin.incarnation}, std::span<const std::int64_t>(numbers), alone});
  started_ = true;
  std::vector<Past> past;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    Past& p = past.emplace_back();
    p.sequence = static_cast<std::uint64_t>(rows->integer(i, 0));
    p.shadow = rows->boolean(i, 1);
    p.attempts = static_cast<int>(rows->integer(i, 2));
    p.lone_crashes = static_cast<int>(rows->integer(i, 3));
    p.suspect = rows->boolean(i, 4);
    if (!rows->is_null(i, 5)) p.first_failed_at = parse_timestamp(rows->text(i, 5));
  }
  return past;
}

bool PgTransactionSource::probe() noexcept {
  try {
    if (connection_.connected()) connection_.rollback();
    ensure_connected();
    return connection_.run("SELECT NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean")->boolean(0, 0);
  } catch (const std::exception&) {
    connection_.disconnect();
    return false;
  }
}

}  // namespace cutover::postgres
