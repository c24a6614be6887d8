#include "runtime/nats/nkey.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <stdexcept>
#include <string>

using namespace cutover;

TEST_CASE("a seed has its public key", "[nats]") {
  std::string seed = "SUADAMJSGM2DKNRXHA4TAMJSGM2DKNRXHA4TAMJSGM2DKNRXHA4TAMMLDU";
  CHECK(nkey_public(seed) == "UB54GB4VDDWRDWQDGYEFX5UWFEQP7B73HRGWGCU3LDFWCU3HJ5O5MPWM");
  CHECK(nkey_public("\n " + seed + " \r\n") == "UB54GB4VDDWRDWQDGYEFX5UWFEQP7B73HRGWGCU3LDFWCU3HJ5O5MPWM");
}

TEST_CASE("what is no seed is refused without being shown", "[nats]") {
  std::string text =
      GENERATE("", " ", "hello", "SUA", "UB54GB4VDDWRDWQDGYEFX5UWFEQP7B73HRGWGCU3LDFWCU3HJ5O5MPWM",
               "SUADAMJSGM2DKNRXHA4TAMJSGM2DKNRXHA4TAMJSGM2DKNRXHA4TAMMLDA");
  try {
    nkey_public(text);
    FAIL("accepted");
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()).starts_with("not an nkey seed: "));
    if (text.size() > 5) CHECK(std::string(error.what()).find(text) == std::string::npos);
  }
}
