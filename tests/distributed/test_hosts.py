"""What hosts tell each other; here they are threads, which meet at a barrier."""

import concurrent.futures
import threading

import numpy as np
import pytest
from PIL import Image

from alexnet_keras.data.folders import read_folder
from alexnet_keras.data.options import ImageSelection
from alexnet_keras.distributed import hosts
from alexnet_keras.distributed.hosts import main_process_first

COUNT = 3


@pytest.fixture
def as_hosts(monkeypatch):
    """Returns a function that calls a function on each host, and returns results or errors."""
    here = threading.local()
    meeting = threading.Barrier(COUNT, timeout=300)
    sent = [None] * COUNT

    def is_same_on_all_hosts(number):
        sent[here.index] = number
        meeting.wait()
        same = len(set(sent)) == 1
        meeting.wait()  # before anything new is sent
        return same

    monkeypatch.setattr(hosts, "process_index", lambda: here.index)
    monkeypatch.setattr(hosts, "process_count", lambda: COUNT)
    monkeypatch.setattr(hosts, "is_same_on_all_hosts", is_same_on_all_hosts)

    def call(function):
        def on_host(index):
            here.index = index
            try:
                return function(index)
            except Exception as error:
                return error

        with concurrent.futures.ThreadPoolExecutor(COUNT) as threads:
            return list(threads.map(on_host, range(COUNT)))

    return call


def test_the_first_host_goes_first(as_hosts):
    order = []

    def enter(index):
        with main_process_first():
            order.append(index)

    assert as_hosts(enter) == [None] * COUNT
    assert order[0] == 0
    assert sorted(order) == list(range(COUNT))


@pytest.mark.parametrize("failing", [[0], [1], [1, 2]])
def test_an_error_of_a_host_ends_all_of_them(failing, as_hosts):
    entered = []

    def enter(index):
        with main_process_first():
            entered.append(index)
            if index in failing:
                raise ValueError(f"of host {index}")

    errors = as_hosts(enter)
    for index, error in enumerate(errors):
        if index in failing:
            assert (type(error), str(error)) == (ValueError, f"of host {index}")
        else:
            assert isinstance(error, ConnectionError)
            words = f"Host {index} of {COUNT} ends, as another host has failed. "
            words += "See the error of that host"
            assert str(error) == words
    assert sorted(entered) == ([0] if failing == [0] else list(range(COUNT)))


def test_an_error_of_a_host_comes_before_the_loss_of_the_others(monkeypatch):
    def lost(number):
        raise RuntimeError("Gloo: connection reset")

    monkeypatch.setattr(hosts, "is_same_on_all_hosts", lost)
    with pytest.raises(ValueError, match="its own"), main_process_first():
        raise ValueError("its own")


def test_only_the_first_host_prints_the_summary_of_a_folder(as_hosts, tmp_path, capsys):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(2):
            Image.fromarray(np.zeros((8, 8, 3), "uint8")).save(tmp_path / label / f"{number}.png")
    selection = ImageSelection(str(tmp_path), hold_out_every=2)
    folders = as_hosts(lambda index: read_folder(selection))
    assert [folder.class_names for folder in folders] == [("cat", "dog")] * COUNT
    assert capsys.readouterr().out.count("2 classes: cat, dog") == 1
