"""Code that was written for the older project goes on, and so does its command."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import qwf_async as qwf
from qwf_async.quantum_wavefunc_redis import QuantumRedisConfig, WaveFuncHashHandler, generate_wave_func
from tests.conftest import Server
from tests.support.command import ROOT, Shell


def test_what_is_saved_is_one_hash_of_the_old_fields_and_texts(each_server: Server) -> None:
    config = QuantumRedisConfig(url=each_server.url, hash_key="lab:psi", nx=6, ny=5, nz=4, nt=3)
    psi = generate_wave_func(config)
    assert psi.shape == (6, 5, 4, 3)
    np.testing.assert_array_equal(psi, generate_wave_func(6, 5, 4, 3))
    with WaveFuncHashHandler(config) as handler:
        with pytest.raises(KeyError):
            handler.get_stats()
        assert handler.get_point(1, 2, 3, 0) is None
        assert handler.batch_save(psi) == psi.size
        with each_server.plain as client:
            value = psi[1, 2, 3, 2]
            text = f"{value.real:.10f},{value.imag:.10f}".encode()
            assert client.hget(handler.hash_key, handler.field(1, 2, 3, 2)) == text
            assert client.hlen(handler.hash_key) == psi.size
        assert handler.get_point(1, 2, 3, 2) == pytest.approx(value, abs=1e-10)
        assert handler.get_point(6, 0, 0, 0) is None
        handler.set_point(1, 2, 3, 2, 3 - 4j)
        expected = {"modulus": 5.0, "probability_density": 25.0, "phase": np.angle(3 - 4j)}
        assert handler.calc_observables(1, 2, 3, 2) == handler.calc_observables(3 - 4j) == expected
        with pytest.raises(qwf.InvalidInput, match="takes a value, or the indices"):
            handler.calc_observables()
        stats = handler.get_stats()
        assert (stats["hash_key"], stats["field_count"]) == (handler.hash_key, psi.size)
        assert stats["memory_bytes"] > 30 * psi.size
        assert stats["used_memory"] > 0
        assert handler.clean_temp_data() == 0


def test_times_are_saved_one_after_the_other_and_again(server: Server) -> None:
    frames = np.arange(3 * 4 * 2 * 2).reshape(3, 4, 2, 2) * 1j
    with WaveFuncHashHandler(url=server.url) as handler:
        for t, frame in enumerate(frames):
            assert handler.batch_save(frame, t) == frame.size
        handler.batch_save(frames[2], 0)
        np.testing.assert_array_equal(handler.psi, frames[[2, 1, 2]])
        with pytest.raises(qwf.InvalidInput, match="time 4 cannot be saved: 3 times are, and the next is 3"):
            handler.batch_save(frames[0], 4)
        handler.batch_save(frames[1])
        np.testing.assert_array_equal(handler.psi, frames[[1]])


def test_the_configuration_says_where_the_server_is() -> None:
    config = QuantumRedisConfig(
        host="::1", port=7000, db=2, username="me", password="p@ss", maxmemory="512mb"
    )
    assert config.settings["url"] == "redis://me:p%40ss@[::1]:7000/2"
    assert config.settings["memory_limit"] == "512mb"
    assert "p@ss" not in repr(config)
    assert QuantumRedisConfig().settings["url"] is None
    with pytest.warns(UserWarning, match="'allkeys-lru' is not set on the server"):
        QuantumRedisConfig(maxmemory_policy="allkeys-lru")
    with pytest.raises(qwf.InvalidInput, match="port must be a whole number"):
        QuantumRedisConfig(port="x")  # type: ignore[arg-type]
    with pytest.raises(qwf.InvalidInput, match=r"hots.*see QuantumRedisConfig"):
        WaveFuncHashHandler(hots="localhost")


def test_its_command_without_arguments_runs_its_chain_until_a_signal(tmp_path: Path, server: Server) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    program = "import sys; sys.argv[1:] = []; from qwf_async.cli import quantum_wavefunc as f; f()"
    with shell.start([sys.executable, "-c", program]) as begun:
        begun.await_said("staying, until a signal")
        begun.signal(signal.SIGTERM)
        ended = begun.end()
    assert ended.status == 143
    stored, point, observables, stats = ended.out.splitlines()
    assert stored.startswith("stored 16384 points in the hash qwf:quantum_wavefunc:")
    assert point.startswith("x8_y8_z8_t0 = (0.08908")
    assert observables.startswith("modulus 0.08908")
    assert "field_count 16384" in stats


def test_the_package_is_run_as_a_file_too(tmp_path: Path) -> None:
    file = ROOT / "qwf_async" / "__main__.py"
    ended = Shell.at(tmp_path).start([sys.executable, str(file), "--version"]).end()
    assert (ended.status, ended.err, ended.out) == (0, "", f"qwf {qwf.__version__}\n")
