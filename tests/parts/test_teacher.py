from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.parts.teacher import Teacher


@pytest.fixture
def student():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(3, 5, bias=False), nn.BatchNorm1d(5), nn.ReLU())
    return encoder, nn.Linear(5, 2)


def shift(*modules):
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                parameter += 1.0


def test_starts_as_the_student(student):
    encoder, projector = student
    x = torch.randn(4, 3)
    teacher = Teacher(encoder, projector)
    assert_close(teacher(x), projector(encoder(x)).detach(), rtol=0, atol=0)


def test_shares_no_memory_with_the_student(student):
    teacher = Teacher(*student)
    before = deepcopy(teacher.state_dict())
    shift(*student)
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_gives_and_takes_no_gradient(student):
    teacher = Teacher(*student)
    x = torch.randn(4, 3, requires_grad=True)
    assert not teacher(x).requires_grad
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.requires_grad for module in student for parameter in module.parameters())


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
def test_follow_is_the_moving_average(student, decay):
    encoder, projector = student
    teacher = Teacher(encoder, projector)
    old = [parameter.clone() for parameter in teacher.parameters()]
    shift(encoder, projector)
    teacher.follow(encoder, projector, decay=decay)
    new = [*encoder.parameters(), *projector.parameters()]
    for moved, before, target in zip(teacher.parameters(), old, new, strict=True):
        assert_close(moved, decay * before + (1 - decay) * target)


def test_decay_of_one_moves_nothing_to_the_bit(student):
    teacher = Teacher(*student)
    old = [parameter.clone() for parameter in teacher.parameters()]
    shift(*student)
    teacher.follow(*student, decay=1.0)
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), old, strict=True))


def test_running_statistics_do_not_follow(student):
    # MoCo's authors: the key encoder's statistics are its own.
    encoder, projector = student
    teacher = Teacher(encoder, projector)
    encoder[1].running_mean += 7.0
    teacher.follow(encoder, projector, decay=0.0)
    assert_close(teacher.encoder[1].running_mean, torch.zeros(5))


def test_has_statistics_of_its_own_in_train_mode_and_keeps_them_in_eval_mode(student):
    encoder, projector = student
    teacher = Teacher(encoder, projector)
    x = torch.randn(16, 3) + 2.0
    teacher.eval()(x)
    assert_close(teacher.encoder[1].running_mean, torch.zeros(5))
    teacher.train()(x)
    assert teacher.encoder[1].running_mean.abs().sum() > 0
    assert_close(encoder[1].running_mean, torch.zeros(5))


def test_student_stays_out_of_the_state_dict(student):
    encoder, projector = student
    teacher = Teacher(encoder, projector)
    assert len(teacher.state_dict()) == len(encoder.state_dict()) + len(projector.state_dict())
