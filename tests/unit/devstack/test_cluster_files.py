"""What a cluster is given as files: credentials, kubeconfigs, the pause image, cgroup folders."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import stat
import tarfile
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from loadertask_devstack.cluster import cgroups
from loadertask_devstack.cluster.credentials import API_SERVICE_ADDRESS, create_credentials
from loadertask_devstack.cluster.static_image import write_image

URL = "https://198.18.0.2:6443"


def test_the_api_server_is_valid_under_every_name_it_is_called_by(tmp_path: Path) -> None:
    credentials = create_credentials(tmp_path, URL, "198.18.0.2")

    names = certificate_of(credentials.certificate("api").certificate).extensions
    alternatives = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name) for name in alternatives.get_values_for_type(x509.IPAddress)} == {
        *("127.0.0.1", API_SERVICE_ADDRESS, "198.18.0.2")
    }
    assert "kubernetes.default.svc" in alternatives.get_values_for_type(x509.DNSName)


def test_the_kubelet_is_the_user_and_group_that_node_authorization_knows(tmp_path: Path) -> None:
    credentials = create_credentials(tmp_path, URL, "198.18.0.2")

    subject = certificate_of(credentials.certificate("kubelet").certificate).subject
    (user,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    (group,) = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert (user.value, group.value) == ("system:node:node", "system:nodes")


def test_a_kubeconfig_is_complete_in_itself_and_for_its_owner_only(tmp_path: Path) -> None:
    credentials = create_credentials(tmp_path, URL, "198.18.0.2")

    path = credentials.kubeconfig("admin")
    content = yaml.safe_load(path.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    assert cluster["server"] == URL
    authority = base64.b64decode(cluster["certificate-authority-data"])
    assert authority == credentials.authority.read_bytes()
    assert b"PRIVATE KEY" in base64.b64decode(user["client-key-data"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_pause_image_is_an_archive_whose_hashes_are_right(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"program")

    write_image(program, tmp_path / "pause.tar", "example/pause:local")

    with tarfile.open(tmp_path / "pause.tar") as archive:
        content = {
            member.name: (archive.extractfile(member) or io.BytesIO()).read() for member in archive
        }
    (manifest,) = json.loads(content["manifest.json"])
    config, layer = content[manifest["Config"]], content[manifest["Layers"][0]]
    assert manifest["RepoTags"] == ["example/pause:local"]
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config)["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(layer).hexdigest()}"
    ]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert files.getmember("pause").mode == 0o755


def test_cgroup_hierarchies_of_both_versions_are_found_among_the_mounts() -> None:
    mounts = (
        "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
        "/dev/vda / ext4 rw 0 0\n"
    )

    assert cgroups.hierarchies(mounts) == [
        Path("/sys/fs/cgroup/memory"),
        Path("/sys/fs/cgroup/unified"),
    ]


def certificate_of(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())
