"""The kinds of artifact: under which name and as which type of content each is served."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..choices import ArtifactKindChoices as Kind


@dataclass(frozen=True, slots=True)
class ArtifactKind:
    """`name` is the last part of the URL, and the file name on the build's page."""

    name: str
    content_type: str = 'text/plain; charset=utf-8'


_YAML = 'text/yaml; charset=utf-8'
_XML = 'application/xml; charset=utf-8'

# cloud-init asks for its four files by these very names below its seed URL.  No name may be that of a callback
# (`urls.CALLBACKS`): both stand below the build's token.
KINDS: Mapping[str, ArtifactKind] = {
    Kind.KIND_IPXE: ArtifactKind('boot.ipxe'),
    Kind.KIND_PXELINUX: ArtifactKind('pxelinux.cfg'),
    Kind.KIND_GRUB: ArtifactKind('grub.cfg'),
    Kind.KIND_KICKSTART: ArtifactKind('kickstart.cfg'),
    Kind.KIND_PRESEED: ArtifactKind('preseed.cfg'),
    Kind.KIND_AUTOINSTALL: ArtifactKind('autoinstall.yaml', _YAML),
    Kind.KIND_AUTOYAST: ArtifactKind('autoinst.xml', _XML),
    Kind.KIND_USER_DATA: ArtifactKind('user-data', _YAML),
    Kind.KIND_META_DATA: ArtifactKind('meta-data', _YAML),
    Kind.KIND_VENDOR_DATA: ArtifactKind('vendor-data', _YAML),
    Kind.KIND_NETWORK_CONFIG: ArtifactKind('network-config', _YAML),
    Kind.KIND_IGNITION: ArtifactKind('config.ign', 'application/vnd.coreos.ignition+json'),
    Kind.KIND_UNATTEND: ArtifactKind('unattend.xml', _XML),
    Kind.KIND_FINISH: ArtifactKind('finish.sh', 'text/x-shellscript; charset=utf-8'),
    Kind.KIND_SCRIPT: ArtifactKind('script.sh', 'text/x-shellscript; charset=utf-8'),
}
